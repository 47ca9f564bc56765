//! Phases and acknowledgements on a real database.

use tunnel_certs::{
    key::{Algorithm, SigningKey},
    statement::ack::Acknowledgement,
};

use super::*;
use crate::enroll::{
    Banned, PhaseError,
    testing::{Bench, DAY, NOW, alice, label},
};

fn replica() -> ReplicaId {
    "r1".parse().unwrap()
}

fn acknowledgement(label: Label, replica: ReplicaId, phase: RotationPhase) -> Envelope {
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    Acknowledgement { label, replica, phase, sequence: 2 }.make(&key).unwrap()
}

#[tokio::test]
async fn a_phase_is_entered_once_the_certificates_allow_it_and_survives_a_restart() {
    let mut bench = Bench::new().await;
    let mut followed = bench.enroll.phases();
    assert_eq!(bench.enroll.phase(), RotationPhase::Standby);
    bench.enroll.set_phase(RotationPhase::Init, &alice(), NOW).await.unwrap();
    assert_eq!(*followed.borrow_and_update(), RotationPhase::Init);
    let refused = bench.enroll.set_phase(RotationPhase::UpdateReplicas, &alice(), NOW).await.unwrap_err();
    assert!(matches!(refused, AdminError::Phase(PhaseError::OneRoot)), "{refused}");
    let new = bench.enroll.prepare_mesh_ca(NOW).await.unwrap();
    bench.trust(2, &[bench.mesh.certificate(), &new]);
    bench.enroll.set_phase(RotationPhase::UpdateReplicas, &alice(), NOW).await.unwrap();
    bench.restart().await;
    assert_eq!(bench.enroll.phase(), RotationPhase::UpdateReplicas);
    assert_eq!(bench.enroll.issuing(NOW), Some(new));
}

#[tokio::test]
async fn the_newest_acknowledgement_of_each_replica_counts() {
    let bench = Bench::new().await;
    bench.enroll.note_seen(label('a'), &replica(), NOW.plus(DAY), NOW);
    let mut newest = None;
    for phase in [RotationPhase::Init, RotationPhase::UpdateReplicas] {
        let said = acknowledgement(label('a'), replica(), phase);
        bench.enroll.store_acknowledgement(label('a'), &replica(), &said, NOW).await.unwrap();
        newest = Some(said);
    }
    let all = bench.enroll.acknowledgements(NOW).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].replica.as_str(), all[0].last_seen_ms), ("r1", NOW.0));
    assert_eq!(all[0].acknowledgement, newest);
}

#[tokio::test]
async fn nobody_acknowledges_for_another() {
    let bench = Bench::new().await;
    let honest = acknowledgement(label('a'), replica(), RotationPhase::Init);
    for (label, id) in [(label('b'), "r1"), (label('a'), "r2")] {
        let kept = bench.enroll.store_acknowledgement(label, &id.parse().unwrap(), &honest, NOW).await;
        assert!(matches!(kept, Err(AcknowledgementError::OtherReplica)));
    }
    let mut large = honest.clone();
    large.payload = vec![0; MAX_PAYLOAD + 1];
    let other = Envelope { payload_type: "x".to_owned(), ..honest };
    for bad in [large, other, Envelope::default()] {
        let kept = bench.enroll.store_acknowledgement(label('a'), &replica(), &bad, NOW).await;
        assert!(matches!(kept, Err(AcknowledgementError::Envelope(_))));
    }
}

#[tokio::test]
async fn the_banned_and_the_long_gone_do_not_hold_a_rotation_up() {
    let bench = Bench::new().await;
    for (id, end) in [("r1", NOW.plus(DAY)), ("r2", NOW.minus(DAY * 29)), ("r3", NOW.minus(DAY * 31))] {
        bench.enroll.note_seen(label('a'), &id.parse().unwrap(), end, NOW);
    }
    let ban = Banned { label: label('a'), replica: Some(replica()), reason: String::new(), by: alice() };
    bench.enroll.ban(&ban, NOW).await.unwrap();
    let all = bench.enroll.acknowledgements(NOW).await.unwrap();
    assert_eq!(all.iter().map(|replica| replica.replica.as_str()).collect::<Vec<_>>(), ["r2"]);
}
