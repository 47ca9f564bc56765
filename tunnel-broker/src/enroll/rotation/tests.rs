//! Phases and acknowledgements on a real database.

use tunnel_certs::{key::Signer, statement::ack::Acknowledgement};

use super::*;
use crate::enroll::{
    Banned, PhaseError,
    testing::{Bench, Client, DAY, NOW, alice, label},
};

fn replica() -> ReplicaId {
    "r1".parse().unwrap()
}

fn acknowledgement(client: &Client, label: Label, replica: ReplicaId, phase: RotationPhase) -> Envelope {
    Acknowledgement { label, replica, phase, sequence: 2 }.make(&client.cluster).unwrap()
}

async fn all(bench: &Bench) -> Vec<operators::ReplicaRotation> {
    bench.enroll.acknowledgements(&operators::GetRotationRequest::default(), NOW).await.unwrap().0
}

#[tokio::test]
async fn a_phase_is_told_decides_who_signs_and_survives_a_restart() {
    let mut bench = Bench::new().await;
    let mut followed = bench.enroll.phases();
    assert_eq!(bench.enroll.phase(), RotationPhase::Standby);
    bench.enroll.set_phase(RotationPhase::Init, &alice(), NOW).await.unwrap();
    assert_eq!(*followed.borrow_and_update(), RotationPhase::Init);
    let new = bench.enroll.prepare_mesh_ca(NOW).await.unwrap();
    bench.trust(2, &[bench.mesh.certificate(), &new]);
    bench.enroll.set_phase(RotationPhase::UpdateReplicas, &alice(), NOW).await.unwrap();
    bench.restart().await;
    assert_eq!(bench.enroll.phase(), RotationPhase::UpdateReplicas);
    assert_eq!(bench.enroll.issuing(NOW), Some(new));
}

#[tokio::test]
async fn no_phase_is_entered_in_which_nobody_could_sign() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    let enter = async |phase| bench.enroll.set_phase(phase, &alice(), NOW).await;
    assert!(matches!(
        enter(RotationPhase::Unspecified).await,
        Err(AdminError::Phase(PhaseError::Unspecified))
    ));
    bench.trust(2, &[other.mesh.certificate()]);
    assert!(matches!(enter(RotationPhase::Init).await, Err(AdminError::Phase(PhaseError::NoKey))));
    assert_eq!(bench.enroll.phase(), RotationPhase::Standby);
}

/// Walks a whole rotation as its job does, by the rules of the crate that both share.
#[tokio::test]
async fn a_rotation_ends_with_one_ca_and_the_next_can_begin() {
    let mut bench = Bench::new().await;
    let mut old = bench.mesh.certificate().clone();
    for turn in 0..3_u64 {
        let new = bench.enroll.prepare_mesh_ca(NOW.plus(DAY * u32::try_from(turn).unwrap())).await.unwrap();
        let now = NOW.plus(DAY * u32::try_from(turn).unwrap());
        assert_eq!(bench.enroll.mesh_cas(), [old.clone(), new.clone()]);
        bench.trust(turn * 2 + 2, &[&old, &new]);
        for phase in [RotationPhase::Init, RotationPhase::UpdateReplicas, RotationPhase::UpdateBrokers] {
            bench.enroll.set_phase(phase, &alice(), now).await.unwrap();
        }
        assert_eq!(bench.enroll.issuing(now), Some(new.clone()));
        bench.trust(turn * 2 + 3, &[&new]);
        bench.enroll.set_phase(RotationPhase::Standby, &alice(), now).await.unwrap();
        assert_eq!(bench.enroll.mesh_cas(), std::slice::from_ref(&new));
        bench.restart_at(now).await;
        assert_eq!(
            (bench.enroll.mesh_cas(), bench.enroll.issuing(now)),
            (vec![new.clone()], Some(new.clone()))
        );
        old = new;
    }
}

#[tokio::test]
async fn a_ca_that_was_rolled_back_is_destroyed_with_its_key() {
    let mut bench = Bench::new().await;
    let (old, new) = (bench.mesh.certificate().clone(), bench.enroll.prepare_mesh_ca(NOW).await.unwrap());
    bench.trust(2, &[&old, &new]);
    for phase in [RotationPhase::Init, RotationPhase::UpdateReplicas, RotationPhase::Rollback] {
        bench.enroll.set_phase(phase, &alice(), NOW).await.unwrap();
    }
    assert_eq!(bench.enroll.issuing(NOW), Some(old.clone()));
    bench.trust(3, &[&old]);
    bench.enroll.set_phase(RotationPhase::Standby, &alice(), NOW).await.unwrap();
    assert_eq!(std::fs::read_dir(bench.folder.path().join("mesh-ca")).unwrap().count(), 0);
    bench.restart().await;
    assert_eq!(bench.enroll.mesh_cas(), [old]);
    assert_ne!(bench.enroll.prepare_mesh_ca(NOW).await.unwrap(), new);
}

#[tokio::test]
async fn the_newest_acknowledgement_of_each_replica_counts() {
    let (bench, client) = (Bench::new().await, Client::new());
    bench.publish(label('a'), &client);
    bench.enroll.note_seen(label('a'), &replica(), NOW.plus(DAY), NOW);
    let mut newest = None;
    // After the end of the entry, too: who signs for the cluster does not change by it.
    for (days, phase) in [(1, RotationPhase::Init), (100, RotationPhase::UpdateReplicas)] {
        let (said, now) = (acknowledgement(&client, label('a'), replica(), phase), NOW.plus(DAY * days));
        bench.enroll.store_acknowledgement(label('a'), &replica(), &said, now).await.unwrap();
        newest = Some(said);
    }
    let all = all(&bench).await;
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].replica.as_str(), all[0].last_seen_ms), ("r1", NOW.0));
    assert_eq!(all[0].acknowledgement, newest);
}

#[tokio::test]
async fn nobody_acknowledges_for_another() {
    let (bench, client) = (Bench::new().await, Client::new());
    let honest = acknowledgement(&client, label('a'), replica(), RotationPhase::Init);
    let keep = async |label, id: &str, said: &Envelope| {
        bench.enroll.store_acknowledgement(label, &id.parse().unwrap(), said, NOW).await
    };
    let early = keep(label('a'), "r1", &honest).await;
    assert!(matches!(early, Err(AcknowledgementError::Open(ack::OpenError::NoEntry))));
    bench.publish(label('a'), &client);
    bench.publish(label('b'), &client);
    for (label, id) in [(label('b'), "r1"), (label('a'), "r2")] {
        assert!(matches!(keep(label, id, &honest).await, Err(AcknowledgementError::OtherReplica)));
    }
    let other = Envelope { payload_type: "x".to_owned(), ..honest.clone() };
    let stranger = acknowledgement(&Client::new(), label('a'), replica(), RotationPhase::Init);
    for bad in [other, stranger, Envelope::default()] {
        let kept = keep(label('a'), "r1", &bad).await;
        assert!(matches!(kept, Err(AcknowledgementError::Open(_))), "{kept:?}");
    }
    assert!(keep(label('a'), "r1", &honest).await.is_ok());
}

#[tokio::test]
async fn a_further_replica_acknowledges_by_its_mesh_key() {
    let bench = Bench::new().await;
    let key = Client::new().mesh;
    let (vendor, r1) = (crate::enroll::testing::vendor(), replica());
    let issued = bench.mesh.issue_replica(key.public(), &vendor, &label('a'), &r1, DAY, NOW).unwrap();
    let said =
        Acknowledgement { label: label('a'), replica: replica(), phase: RotationPhase::Init, sequence: 2 };
    let said = said.make_by_mesh(&key, &issued).unwrap();
    for (label, id) in [(label('b'), "r1"), (label('a'), "r2")] {
        let kept = bench.enroll.store_acknowledgement(label, &id.parse().unwrap(), &said, NOW).await;
        assert!(matches!(kept, Err(AcknowledgementError::OtherReplica)));
    }
    bench.enroll.store_acknowledgement(label('a'), &replica(), &said, NOW).await.unwrap();
    bench.enroll.note_seen(label('a'), &replica(), NOW.plus(DAY), NOW);
    assert_eq!(all(&bench).await[0].acknowledgement, Some(said));
}

#[tokio::test]
async fn acknowledgements_come_in_pages_past_those_that_do_not_count() {
    let bench = Bench::new().await;
    let names = [('a', "r1"), ('a', "r2"), ('b', "r1"), ('b', "r3"), ('c', "r1")];
    for (c, id) in names {
        bench.enroll.note_seen(label(c), &id.parse().unwrap(), NOW.plus(DAY), NOW);
    }
    let ban = Banned { label: label('b'), replica: None, reason: String::new(), by: alice() };
    bench.enroll.ban(&ban, NOW).await.unwrap();
    let (mut seen, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let ask = operators::GetRotationRequest { page_size: 2, page_token };
        let (some, next) = bench.enroll.acknowledgements(&ask, NOW).await.unwrap();
        seen.extend(some.iter().map(|one| format!("{}/{}", &one.label[4..5], one.replica)));
        (page_token, pages) = (next, pages + 1);
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["a/r1", "a/r2", "c/r1"]);
    assert_eq!(pages, 2, "none of them empty");
}

#[tokio::test]
async fn the_banned_and_the_long_gone_do_not_hold_a_rotation_up() {
    let bench = Bench::new().await;
    for (id, end) in [("r1", NOW.plus(DAY)), ("r2", NOW.minus(DAY * 29)), ("r3", NOW.minus(DAY * 31))] {
        bench.enroll.note_seen(label('a'), &id.parse().unwrap(), end, NOW);
    }
    let ban = Banned { label: label('a'), replica: Some(replica()), reason: String::new(), by: alice() };
    bench.enroll.ban(&ban, NOW).await.unwrap();
    let all = all(&bench).await;
    assert_eq!(all.iter().map(|replica| replica.replica.as_str()).collect::<Vec<_>>(), ["r2"]);
}
