use std::path::Path;

use tunnel_certs::{
    key::SigningKey as Key,
    roots::Roots as Anchors,
    verify::{GateServerVerifier, GrantVerifier},
};
use tunnel_protos::{DoorName, RequestId};

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn label() -> Label {
    "k3v7aaaaaa".parse().unwrap()
}

fn open(folder: &Path, now: UnixMillis) -> AccessCa {
    AccessCa::load_or_create(folder, &label(), now).unwrap()
}

async fn rotate(access: &AccessCa, if_due: bool, now: UnixMillis) -> Result<Rotated, RotateError> {
    access.rotate(if_due, now, By::default(), &Audit::default()).await
}

fn cas(access: &AccessCa) -> Arc<AccessCas> {
    access.subscribe().borrow().clone()
}

/// What operators who hold `anchors` think of the gate at `now`.
fn verifies(cas: &AccessCas, anchors: Vec<CertificateDer<'static>>, now: UnixMillis) -> bool {
    let suffix = "tunnel.example".parse().unwrap();
    let shown = cas.gate_issuer(now).issue_gate_server(&label(), &suffix, now).unwrap();
    let door = DoorName { door: tunnel_protos::Door::from_random([5; 17]), label: label() };
    let name = door.host(&suffix).try_into().unwrap();
    let verifier = GateServerVerifier::new(Anchors::new(anchors).unwrap());
    verifier.verify(&[shown.certificate().clone()], &name, now).is_ok()
}

#[tokio::test]
async fn both_count_for_a_day_and_the_new_one_issues_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path(), NOW);
    let before = cas(&access);
    assert_eq!(rotate(&access, false, NOW).await.unwrap(), Rotated::Yes);
    let after = cas(&access);
    assert_ne!(after.current().certificate(), before.current().certificate());
    let late = NOW.plus(DAY);
    assert_eq!(after.anchors(late).len(), 2);
    assert_eq!(after.anchors(late.plus(2 * DAY)).len(), 1);
    let old_grant = grant(before.current(), NOW);
    let verifier = |at| GrantVerifier::new(label(), after.roots(at).unwrap());
    assert!(verifier(late).verify(std::slice::from_ref(&old_grant), late).is_ok());
    assert!(verifier(late.plus(2 * DAY)).verify(&[old_grant], late).is_err());
    let new_grant = grant(after.current(), NOW);
    assert!(verifier(late).verify(&[new_grant], late).is_ok());
}

fn grant(ca: &Authority, now: UnixMillis) -> CertificateDer<'static> {
    let csr = Key::generate(tunnel_certs::key::Algorithm::P256).unwrap().csr().unwrap();
    let terms = tunnel_certs::issue::GrantTerms {
        label: label(),
        grant: RequestId::random().into(),
        ttl: Duration::from_secs(600),
        grant_end: now.plus(DAY),
    };
    ca.issue_grant(&csr, &terms, now).unwrap().certificate
}

#[tokio::test]
async fn the_gate_verifies_for_who_holds_the_old_anchor_alone_and_for_who_holds_both() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path(), NOW);
    let old = cas(&access).anchors(NOW);
    rotate(&access, false, NOW).await.unwrap();
    let cas = cas(&access);
    for at in [NOW, NOW.plus(Duration::from_secs(900)), NOW.plus(DAY)] {
        assert!(verifies(&cas, old.clone(), at) && verifies(&cas, cas.anchors(at), at));
    }
    let over = cas.next_change(NOW).unwrap();
    assert!(over >= NOW.plus(DAY));
    // Outcomes of the last moment before hold both.
    assert!(verifies(&cas, cas.anchors(over.minus(Duration::from_secs(1))), over));
    assert!(!verifies(&cas, old, over));
}

#[tokio::test]
async fn survives_restarts_and_an_interrupted_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path(), NOW);
    rotate(&access, false, NOW).await.unwrap();
    let (anchors, late) = (cas(&access).anchors(NOW), NOW.plus(2 * DAY));
    assert_eq!(cas(&open(folder.path(), NOW)).anchors(NOW), anchors);
    let alone = cas(&open(folder.path(), late));
    assert_eq!(alone.anchors(late), anchors[..1]);
    assert!(!folder.path().join("access-ca.key").exists(), "the key that nobody trusts is gone");
    // Made, but never named: as after a kill in between.
    std::fs::write(folder.path().join("access-ca-2.key"), "torn").unwrap();
    let access = open(folder.path(), late);
    rotate(&access, false, late).await.unwrap();
    assert_eq!(cas(&open(folder.path(), late)).anchors(late)[1], anchors[0]);
}

#[tokio::test]
async fn the_key_in_force_outlives_a_naming_that_came_too_late() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path(), NOW);
    // As written by a rotation that was given up: what is in force is still the first.
    let late = format!(r#"{{"current":1,"previous":{{"generation":0,"untilMs":{}}}}}"#, NOW.plus(DAY).0);
    std::fs::write(folder.path().join("access-ca.json"), late).unwrap();
    rotate(&access, false, NOW).await.unwrap();
    let both = cas(&access).anchors(NOW);
    assert_eq!(cas(&open(folder.path(), NOW)).anchors(NOW), both);
}

#[tokio::test]
async fn what_is_in_force_is_written_down_after_a_naming_whose_end_nobody_knows() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path(), NOW);
    let late = r#"{"current":1,"previous":{"generation":0,"untilMs":1}}"#;
    std::fs::write(folder.path().join("access-ca.json"), late).unwrap();
    access.settle().await.unwrap();
    assert_eq!(cas(&open(folder.path(), NOW)).anchors(NOW), cas(&access).anchors(NOW));
}

#[tokio::test]
async fn rotates_only_if_due_and_not_while_two_count() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path(), NOW);
    assert_eq!(rotate(&access, true, NOW.plus(200 * DAY)).await.unwrap(), Rotated::NotDue);
    let due = NOW.plus(250 * DAY);
    assert_eq!(rotate(&access, true, due).await.unwrap(), Rotated::Yes);
    assert!(matches!(rotate(&access, false, due).await, Err(RotateError::Overlap(_))));
    let view = access.view(Rotated::Yes, due);
    assert!(
        view.rotated && view.previous_until_ms > due.plus(DAY).0 && !view.previous_fingerprint.is_empty()
    );
}

#[tokio::test]
async fn an_old_ca_that_ends_first_is_shown_no_longer_than_it_lives() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path(), NOW);
    let end = cas(&access).current().validity().1;
    let late = end.minus(Duration::from_secs(3600));
    rotate(&access, false, late).await.unwrap();
    let cas = cas(&access);
    let change = cas.next_change(late).unwrap();
    assert!(change < end);
    assert_eq!(cas.gate_issuer(change).certificate(), cas.current().certificate());
}
