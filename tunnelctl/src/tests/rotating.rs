//! Rotations: of the mesh CA with replicas that are there, away or lied about, of the operator CA and the vendor key.

use std::{sync::Arc, time::Duration};

use tunnel_certs::{
    credential::certificate_to_pem,
    key::{Algorithm, Signer, SigningKey},
};
use tunnel_protos::{Label, v1::RotationPhase};
use tunnel_runtime::exit::Exit;

use super::administrators::{Customer, House, house};
use crate::testing::{
    Vendor,
    hall::{Member, member, mesh_ca, now},
};

const ROTATE: &str = "rotate mesh --vendor-key @vendor.key --wait 200ms --poll 20ms";
const ROLLBACK: &str = "rotate rollback --vendor-key @vendor.key --wait 200ms --poll 20ms";

/// A house with one cluster of two replicas.
async fn fleet() -> (House, Customer) {
    let house = house().await;
    let (label, customer) = (Label::from_random([9; 17]), Customer::new());
    house.publish("acme/prod", label, &customer, 1);
    for id in ["r-1", "r-2"] {
        let member = member(label, id, &customer.key);
        house.hall.books().replicas.push(member);
    }
    (house, customer)
}

fn state(house: &House) -> (RotationPhase, usize, u64) {
    let books = house.hall.books();
    (books.phase, books.bundle().mesh_roots.len(), books.bundle().sequence)
}

#[tokio::test]
async fn the_mesh_ca_is_replaced_phase_by_phase() {
    let (house, _) = fleet().await;
    let before = house.hall.books().bundle().mesh_roots;
    let dry = house.done(&format!("tunnel-certs {ROTATE} --dry-run")).await;
    assert!(dry.out.contains("next: have the broker make"), "{}", dry.out);
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 1), "a dry run does nothing");
    let done = house.done(&format!("tunnel-certs {ROTATE}")).await;
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 3));
    assert_ne!(house.hall.books().bundle().mesh_roots, before);
    let phases: Vec<_> = done.out.lines().filter_map(|line| line.strip_prefix("phase ")).collect();
    assert_eq!(phases, ["init", "update-replicas", "update-brokers", "standby"], "{}", done.out);
    let status = house.done("tunnel-certs rotate status --output json").await;
    let status: serde_json::Value = serde_json::from_str(status.out.trim()).unwrap();
    assert_eq!((&status["phase"], &status["acknowledged"]), (&"standby".into(), &2.into()));
}

#[tokio::test]
async fn whoever_is_away_is_waited_for_until_passed() {
    let (house, _) = fleet().await;
    house.hall.books().replicas[1].away = true;
    house.hall.books().replicas[1].last_seen = now().minus(Duration::from_secs(4 * 24 * 3600));
    let waiting = house.certs(ROTATE).await;
    assert_eq!(waiting.ending, Exit::Waiting.into(), "{}", waiting.err);
    assert!(
        waiting.err.contains("init: 1 of 2 acknowledged, 1 absent: acme/prod/r-2 (away for 4d"),
        "{}",
        waiting.err
    );
    assert_eq!(state(&house), (RotationPhase::Init, 2, 2));
    let done = house.done(&format!("tunnel-certs {ROTATE} --pass-absent-older-than 3d")).await;
    assert!(done.err.contains("were passed"), "{}", done.err);
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 3));
}

#[tokio::test]
async fn the_brokers_word_is_no_acknowledgement() {
    let (house, _) = fleet().await;
    // It signs with a key of its own, or shows what another replica signed.
    house.hall.books().replicas[1].key = Arc::new(SigningKey::generate(Algorithm::Ed25519).unwrap());
    let waiting = house.certs(ROTATE).await;
    assert_eq!(waiting.ending, Exit::Waiting.into(), "{}", waiting.out);
    assert_eq!(state(&house), (RotationPhase::Init, 2, 2));
    let named = house.certs(&format!("{ROTATE} --pass-absent acme/prod/r-2")).await;
    assert_eq!(named.ending.code(), 0, "{}", named.err);
}

#[tokio::test]
async fn a_further_replica_acknowledges_by_its_mesh_certificate() {
    let (house, _) = fleet().await;
    let (label, ca) = {
        let books = house.hall.books();
        (books.replicas[0].label, Arc::clone(&books.cas[0]))
    };
    let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    let further = |ca| Member { mesh: Some(Arc::new(ca)), ..member(label, "r-3", &key) };
    // One that no mesh CA of the trust bundle certified proves nothing.
    house.hall.books().replicas.push(further(mesh_ca(now())));
    let waiting = house.certs(ROTATE).await;
    assert_eq!(waiting.ending, Exit::Waiting.into(), "{}", waiting.out);
    assert!(waiting.err.contains("1 absent: acme/prod/r-3"), "{}", waiting.err);
    house.hall.books().replicas[2].mesh = Some(ca);
    let status = house.done("tunnel-certs rotate status").await;
    assert!(
        status.out.contains("3 of 3 acknowledged, 1 of them by a mesh certificate only"),
        "{}",
        status.out
    );
    house.done(&format!("tunnel-certs {ROTATE}")).await;
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 3));
}

#[tokio::test]
async fn it_goes_on_wherever_it_was_cut_off() {
    let (house, _) = fleet().await;
    let mut runs = 0;
    loop {
        house.hall.books().calls_left = 4 + runs % 8;
        let run = house.certs(ROTATE).await;
        runs += 1;
        if run.ending.code() == 0 {
            break;
        }
        assert!(run.err.contains("the broker is gone"), "{}", run.err);
        assert!(runs < 100, "never done: {:?}", state(&house));
    }
    assert!(runs > 4, "{runs}");
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 3), "each step was done once");
    assert_eq!(house.hall.books().cas.len(), 1);
}

#[tokio::test]
async fn a_job_that_was_killed_at_its_very_end_does_not_begin_another() {
    let (house, _) = fleet().await;
    house.hall.books().replicas[1].away = true;
    house.certs(ROTATE).await;
    let begun = std::fs::read(house.path("state/default/rotation")).unwrap();
    house.hall.books().replicas[1].away = false;
    house.done(&format!("tunnel-certs {ROTATE}")).await;
    // As if it had been killed between the last phase and its own end.
    crate::folder::write(&house.path("state/default/rotation"), &begun).unwrap();
    let again = house.certs(ROTATE).await;
    assert_eq!(again.ending, Exit::Failed.into(), "who asks for a rotation must not take another one for it");
    assert!(again.err.contains("has ended since; run the same command again"), "{}", again.err);
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 3));
    house.done(&format!("tunnel-certs {ROTATE}")).await;
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 5));
}

#[tokio::test]
async fn it_can_be_rolled_back_until_the_old_ca_is_gone() {
    let (house, _) = fleet().await;
    let before = house.hall.books().bundle().mesh_roots;
    house.hall.books().replicas[1].away = true;
    house.certs(ROTATE).await;
    house.hall.books().replicas[1].away = false;
    house.hall.books().phase = RotationPhase::UpdateReplicas;
    house.done(&format!("tunnel-certs {ROLLBACK}")).await;
    assert_eq!(house.hall.books().bundle().mesh_roots, before);
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 3));
    let nothing = house.done(&format!("tunnel-certs {ROLLBACK}")).await;
    assert!(nothing.out.contains("no rotation is under way"), "{}", nothing.out);
    house.done(&format!("tunnel-certs {ROTATE}")).await;
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 5));
    assert_ne!(house.hall.books().bundle().mesh_roots, before);
}

#[tokio::test]
async fn the_vendor_key_may_be_on_another_machine() {
    let (house, _) = fleet().await;
    for sequence in [2, 3] {
        let written = house.certs("rotate mesh --write-unsigned @b.unsigned --wait 200ms --poll 20ms").await;
        assert_eq!(written.ending, Exit::Waiting.into(), "{}", written.err);
        house.done("tunnel-certs sign @b.unsigned --vendor-key @vendor.key --out @b.pb").await;
        let run = house.certs("rotate mesh --signed @b.pb --wait 200ms --poll 20ms").await;
        assert_eq!(house.hall.books().bundle().sequence, sequence, "{}", run.err);
    }
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 3));
}

#[tokio::test]
async fn a_bundle_of_another_step_is_not_published() {
    let (house, _) = fleet().await;
    house.certs("rotate renew --write-unsigned @b.unsigned").await;
    house.done("tunnel-certs sign @b.unsigned --vendor-key @vendor.key --out @b.pb").await;
    let refused = house.certs("rotate mesh --signed @b.pb").await;
    assert!(refused.err.contains("not the one that is needed"), "{}", refused.err);
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 1));
}

#[tokio::test]
async fn what_the_broker_made_must_be_a_mesh_ca() {
    let (house, _) = fleet().await;
    let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    let at = now().plus(Duration::from_secs(60));
    let foreign = tunnel_certs::issue::Authority::create(tunnel_certs::issue::CaKind::Operator, "x", key, at);
    house.hall.books().cas.push(Arc::new(foreign.unwrap()));
    let refused = house.certs(ROTATE).await;
    assert!(refused.err.contains("not a mesh CA"), "{}", refused.err);
    assert_eq!(state(&house), (RotationPhase::Standby, 1, 1));
}

#[tokio::test]
async fn the_operator_ca_is_replaced_without_locking_anybody_out() {
    let house = house().await;
    let other = Vendor::at(now());
    house.write("new.pem", certificate_to_pem(other.operators.certificate()).as_bytes());
    house.write("old.pem", certificate_to_pem(house.vendor.operators.certificate()).as_bytes());
    for _ in 0..2 {
        house.done("tunnel-certs rotate operator-ca --add @new.pem --vendor-key @vendor.key").await;
        assert_eq!(house.hall.books().published, [2], "the second time nothing is left to do");
    }
    let remove = "rotate operator-ca --remove @old.pem --vendor-key @vendor.key --last-issued";
    let early = house.certs(&format!("{remove} {}", now())).await;
    assert!(early.err.contains("may live until"), "{}", early.err);
    let own = house.certs(&format!("{remove} 2026-01-01T00:00:00Z")).await;
    assert!(own.err.contains("your own identity"), "{}", own.err);
    house.write("op.pem", b"");
    std::fs::remove_file(house.path("op.key")).unwrap();
    let operator = other.operator();
    house.write("op.pem", certificate_to_pem(operator.credential.certificate()).as_bytes());
    operator.credential.key().save(&house.path("op.key")).unwrap();
    assert_eq!(house.hall.books().bundle().operator_roots.len(), 2);
}

#[tokio::test]
async fn the_vendor_key_is_replaced_once_no_entry_needs_the_old_one() {
    let (house, _) = fleet().await;
    house.done("tunnel-certs key vendor --out @new.key --plain").await;
    house.done("tunnel-certs rotate vendor-key --add @new.pub --vendor-key @vendor.key").await;
    let remove = "rotate vendor-key --remove @vendor.pub --vendor-key @new.key";
    let early = house.certs(remove).await;
    assert!(early.err.contains("acme/prod are not signed by a key that stays"), "{}", early.err);
    let unpinned = house.run("inventory renew --all --first-seen --vendor-key @new.key").await;
    assert_eq!(unpinned.ending, Exit::Failed.into(), "operators must pin it first: {}", unpinned.out);
    house.login("--vendor-key @vendor.pub --vendor-key @new.pub").await;
    let new = SigningKey::load(&house.path("new.key")).unwrap();
    house.done("inventory renew --all --first-seen --vendor-key @new.key").await;
    house.done(&format!("tunnel-certs {remove}")).await;
    let bundle = house.hall.books().bundle();
    assert_eq!(bundle.vendor_keys, [new.public().raw()]);
}

#[tokio::test]
async fn release_keys_are_changed_together_with_their_threshold() {
    let house = house().await;
    house.done("tunnel-certs key release --out @r.key").await;
    let refused = house.certs("rotate release-keys --add @r.pub --vendor-key @vendor.key").await;
    assert_ne!(refused.ending.code(), 0, "a threshold of 0 needs none");
    house.done("tunnel-certs rotate release-keys --add @r.pub --threshold 1 --vendor-key @vendor.key").await;
    assert_eq!(house.hall.books().bundle().release_threshold, 1);
}
