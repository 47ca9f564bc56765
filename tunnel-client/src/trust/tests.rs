//! What is believed, what is not, and what a restart finds.

use std::{fs, time::Duration};

use tunnel_certs::{
    issue::CaKind,
    key::{Algorithm, Signer, SigningKey},
    statement::trust_bundle::{OpenError, TrustBundle},
};
use tunnel_protos::v1::RotationPhase;
use tunnel_runtime::eventually::eventually;

use super::{
    testing::{DAY, HOUR, Living, Stage, ca, ca_of, label, leaf, roots},
    *,
};
use crate::{
    approvers::{MembershipDesk, MembershipError, Peer, Who},
    clock,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn sequence(trust: &Trust) -> u64 {
    trust.belief().borrow().bundle.sequence
}

async fn offered(living: &Living, bytes: Vec<u8>) -> Result<(), BundleError> {
    living.trust.offer(bytes, Source::Broker).await
}

#[tokio::test]
async fn a_newer_bundle_is_followed_by_everyone_and_survives_a_restart() {
    let (stage, other) = (Stage::new(), ca(CaKind::Operator));
    let living = stage.open();
    let (mut operators, mut brokers) = (living.trust.operators(), living.trust.brokers());
    let bundle = TrustBundle {
        operator_roots: roots(&[&other]),
        broker_addresses: vec!["b2.example:443".to_owned()],
        ..stage.bundle(2)
    };
    offered(&living, stage.sign(&bundle)).await.unwrap();
    assert!(operators.has_changed().unwrap() && brokers.has_changed().unwrap());
    assert_eq!(**brokers.borrow_and_update(), ["b2.example:443"]);
    let key = SigningKey::generate(Algorithm::P256).unwrap();
    let (vendor, name) = (testing::vendor(), "ann".parse().unwrap());
    let now = clock::wall();
    let ann = other.issue_operator(key.public(), &vendor, &name, HOUR, now).unwrap();
    assert!(operators.borrow_and_update().verifier.verify(&[ann], now).is_ok());
    drop(living);
    assert_eq!(sequence(&stage.open().trust), 2);
}

#[tokio::test]
async fn an_older_a_foreign_and_a_changed_bundle_are_refused_and_shown() {
    let stage = Stage::new();
    stage.write_bundle(&stage.bundle(5));
    let living = stage.open();
    let older = offered(&living, stage.sign(&stage.bundle(4))).await;
    assert!(matches!(older, Err(BundleError::Refused(OpenError::NotNewer { current: 5, got: 4 }))));
    assert!(living.trust.view().last_error.contains("4"));
    let foreign = Stage::new();
    assert!(offered(&living, foreign.sign(&foreign.bundle(9))).await.is_err());
    let vendor = "elsewhere".parse().unwrap();
    let other = TrustBundle { vendor, ..stage.bundle(9) };
    let other = offered(&living, stage.sign(&other)).await;
    assert!(matches!(other, Err(BundleError::Refused(OpenError::OtherVendor))));
    let changed = TrustBundle { broker_addresses: Vec::new(), ..stage.bundle(5) };
    assert!(matches!(offered(&living, stage.sign(&changed)).await, Err(BundleError::Changed(5))));
    assert_eq!(sequence(&living.trust), 5);
    assert!(offered(&living, fs::read(stage.path("bundle.pb")).unwrap()).await.is_ok(), "known is no error");
}

#[tokio::test]
async fn the_next_is_signed_by_the_list_in_force_also_after_a_restart() {
    let (stage, new) = (Stage::new(), SigningKey::generate(Algorithm::Ed25519).unwrap());
    let living = stage.open();
    let second = TrustBundle { vendor_keys: vec![new.public().clone()], ..stage.bundle(2) };
    offered(&living, stage.sign(&second)).await.unwrap();
    drop(living);
    let living = stage.open();
    assert!(offered(&living, stage.sign(&stage.bundle(3))).await.is_err(), "a retired key signs nothing");
    let third = TrustBundle { sequence: 3, ..second };
    use prost::Message as _;
    offered(&living, third.make(&new).unwrap().encode_to_vec()).await.unwrap();
    assert_eq!(sequence(&living.trust), 3);
}

#[tokio::test]
async fn a_removed_root_stays_removed_whatever_a_newer_bundle_lists() {
    let (stage, other) = (Stage::new(), ca(CaKind::Operator));
    stage.write_bundle(&TrustBundle { operator_roots: roots(&[&stage.operator, &other]), ..stage.bundle(1) });
    let living = stage.open();
    let root = Fingerprint::of(other.certificate());
    let by = || By { by: "uid 7".to_owned(), ..By::default() };
    let prefix = &root.to_string()[..8];
    living.trust.remove_root(prefix, by()).await.unwrap();
    assert!(matches!(living.trust.remove_root("00000000", by()).await, Err(RemoveError::Unknown)));
    assert!(matches!(living.trust.remove_root("xyz", by()).await, Err(RemoveError::Malformed)));
    let again = TrustBundle { operator_roots: roots(&[&stage.operator, &other]), ..stage.bundle(2) };
    offered(&living, stage.sign(&again)).await.unwrap();
    let trusted = |trust: &Trust| trust.belief().borrow().operator_roots().certificates().len();
    assert_eq!((sequence(&living.trust), trusted(&living.trust)), (2, 1));
    let shown = living.trust.view().roots.into_iter().find(|view| view.fingerprint == root.to_string());
    assert!(shown.unwrap().removed);
    drop(living);
    assert_eq!(trusted(&stage.open().trust), 1);
}

#[tokio::test]
async fn a_root_is_removed_at_once_while_the_disk_hangs_and_stays_removed_by_what_the_disk_held_up() {
    let stage = Stage::new();
    // A keeper that never runs: its disk may as well hang.
    let (trust, _stuck) = Trust::open(stage.sources(), clock::wall()).unwrap();
    let root = Fingerprint::of(stage.operator.certificate()).to_string();
    let operators = || trust.belief().borrow().operator_roots().certificates().len();
    let mut removing = Box::pin(trust.remove_root(&root, By::default()));
    tokio::select! {
        biased;
        _ = &mut removing => panic!("nobody is there to store it"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(operators(), 0);
    // A bundle that was being stored meanwhile was made of the belief before.
    trust.shared.change(|belief| belief.bundle = stage.bundle(2)).unwrap();
    assert_eq!((sequence(&trust), operators()), (2, 0));
}

#[tokio::test]
async fn with_every_root_removed_nobody_is_believed_and_people_are_told() {
    let stage = Stage::new();
    let living = stage.open();
    let root = Fingerprint::of(stage.operator.certificate()).to_string();
    living.trust.remove_root(&root, By::default()).await.unwrap();
    assert!(living.trust.belief().borrow().operator_roots().certificates().is_empty());
    let warnings = living.trust.warnings(clock::wall());
    assert!(warnings.iter().any(|text| text.contains("every operator root")), "{warnings:?}");
}

#[tokio::test]
async fn the_customers_own_files_are_followed() {
    let stage = Stage::new();
    let living = stage.open();
    stage.write_bundle(&stage.bundle(2));
    let leaf = stage.leaf(&stage.mesh, 2 * HOUR);
    stage.write_leaf(&leaf);
    let (trust, want) = (living.trust.clone(), Fingerprint::of(&leaf));
    eventually("both files are in force", PATIENCE, || {
        let belief = trust.belief().borrow().clone();
        async move { belief.bundle.sequence == 2 && belief.leaf.as_ref().unwrap().fingerprint() == want }
    })
    .await;
}

#[tokio::test]
async fn a_file_that_came_too_early_is_taken_once_its_time_has_come() {
    let (stage, new) = (Stage::new(), SigningKey::generate(Algorithm::Ed25519).unwrap());
    let living = stage.open();
    let second = TrustBundle { vendor_keys: vec![new.public().clone()], ..stage.bundle(2) };
    let next = ca(CaKind::Mesh);
    let third = TrustBundle { sequence: 3, mesh_roots: roots(&[&next]), ..second.clone() };
    use prost::Message as _;
    fs::write(stage.path("bundle.pb"), third.make(&new).unwrap().encode_to_vec()).unwrap();
    let leaf = stage.leaf(&next, HOUR);
    stage.write_leaf(&leaf);
    let trust = living.trust.clone();
    eventually("the file is refused", PATIENCE, || {
        let refused = !trust.view().last_error.is_empty();
        async move { refused }
    })
    .await;
    offered(&living, stage.sign(&second)).await.unwrap();
    let want = Fingerprint::of(&leaf);
    eventually("both files are in force", PATIENCE, || {
        let belief = trust.belief().borrow().clone();
        async move { belief.bundle.sequence == 3 && belief.leaf.as_ref().unwrap().fingerprint() == want }
    })
    .await;
}

#[tokio::test]
async fn an_old_file_may_expire_once_a_newer_bundle_was_taken() {
    let stage = Stage::new();
    let living = stage.open();
    offered(&living, stage.sign(&stage.bundle(2))).await.unwrap();
    drop(living);
    stage.write_bundle(&TrustBundle { expires: clock::wall().minus(DAY), ..stage.bundle(1) });
    assert_eq!(sequence(&stage.open().trust), 2);
    fs::remove_file(stage.path("state/trust-bundle.pb")).unwrap();
    assert!(matches!(stage.try_open().err(), Some(LoadError::TrustBundle(_, OpenError::Expired))));
}

#[tokio::test]
async fn a_withheld_bundle_is_told_at_sixty_days_of_age() {
    let stage = Stage::new();
    stage.write_bundle(&TrustBundle { expires: clock::wall().plus(31 * DAY), ..stage.bundle(1) });
    let living = stage.open();
    assert!(living.trust.warnings(clock::wall()).is_empty());
    let later = living.trust.warnings(clock::wall().plus(2 * DAY));
    assert!(later.iter().any(|text| text.contains("60 days")), "{later:?}");
}

#[tokio::test]
async fn certificates_nobody_asked_for_are_not_taken() {
    let stage = Stage::new();
    let living = stage.open();
    let longer = stage.leaf(&stage.mesh, 2 * HOUR).to_vec();
    assert!(matches!(living.trust.take_leaf(longer).await, Err(LeafError::Unwanted)));
}

/// A leaf that is due at once, so that another is asked for.
async fn asking() -> (Stage, Living) {
    let stage = Stage::new();
    stage.write_leaf(&stage.leaf(&stage.mesh, Duration::from_secs(2)));
    let living = stage.open();
    let mut asking = living.trust.shared.asking.subscribe();
    tokio::time::timeout(PATIENCE, asking.wait_for(Option::is_some)).await.unwrap().unwrap();
    (stage, living)
}

#[tokio::test]
async fn only_our_own_key_label_and_root_make_a_certificate_ours() {
    let (stage, living) = asking().await;
    let key = SigningKey::generate(Algorithm::P256).unwrap();
    let other_key = leaf(&stage.mesh, &key, &label(), HOUR).to_vec();
    assert!(matches!(living.trust.take_leaf(other_key).await, Err(LeafError::Credential(_))));
    let other_label = leaf(&stage.mesh, &stage.key, &"otheraaaaa".parse().unwrap(), HOUR).to_vec();
    assert!(matches!(living.trust.take_leaf(other_label).await, Err(LeafError::Foreign)));
    let (vendor, id) = (testing::vendor(), "r2".parse().unwrap());
    let now = clock::wall();
    let other_id = stage.mesh.issue_replica(stage.key.public(), &vendor, &label(), &id, HOUR, now).unwrap();
    assert!(matches!(living.trust.take_leaf(other_id.to_vec()).await, Err(LeafError::Foreign)));
    let other_ca = stage.leaf(&ca(CaKind::Mesh), HOUR).to_vec();
    assert!(matches!(living.trust.take_leaf(other_ca).await, Err(LeafError::Refused(_))));
    let shorter = stage.leaf(&stage.mesh, Duration::from_secs(1)).to_vec();
    assert!(living.trust.take_leaf(shorter).await.is_err());
    let good = stage.leaf(&stage.mesh, HOUR);
    living.trust.take_leaf(good.to_vec()).await.unwrap();
    let dialing = living.trust.dialing().borrow().clone().unwrap();
    assert_eq!(dialing.leaf, Fingerprint::of(&good));
    drop(living);
    let kept = stage.open().trust.belief().borrow().leaf.as_ref().unwrap().fingerprint();
    assert_eq!(kept, Fingerprint::of(&good), "a restart shows it again");
}

#[tokio::test]
async fn a_withheld_renewal_is_shown() {
    let (_stage, living) = asking().await;
    let trust = living.trust.clone();
    eventually("people are told", PATIENCE, || {
        let told = trust.warnings(clock::wall()).iter().any(|text| text.contains("no broker answers"));
        async move { told }
    })
    .await;
}

#[tokio::test]
async fn a_rotation_wants_the_newest_root_and_a_rollback_the_oldest() {
    let stage = Stage::with(Arc::new(ca_of(CaKind::Mesh, clock::wall().minus(DAY))));
    let new = ca(CaKind::Mesh);
    let living = stage.open();
    let both = TrustBundle { mesh_roots: roots(&[&new, &stage.mesh]), ..stage.bundle(2) };
    let shown = living.trust.dialing().borrow().as_ref().unwrap().leaf;
    let acknowledged = |phase| stage.link(&living.trust).reached(phase, &shown);
    use crate::tunnels::Vendor as _;
    assert_eq!(acknowledged(RotationPhase::Init), None);
    assert_eq!(acknowledged(RotationPhase::Standby), Some(1));
    offered(&living, stage.sign(&both)).await.unwrap();
    assert_eq!(acknowledged(RotationPhase::Init), Some(2));
    assert_eq!(acknowledged(RotationPhase::UpdateReplicas), None);
    assert_eq!(acknowledged(RotationPhase::UpdateBrokers), None);
    assert_eq!(acknowledged(RotationPhase::Rollback), Some(2));
    assert_eq!(acknowledged(RotationPhase::Standby), None);
    let belief = living.trust.belief().borrow().clone();
    for phase in [RotationPhase::UpdateReplicas, RotationPhase::UpdateBrokers] {
        assert_eq!(belief.root_of(phase), Some(Fingerprint::of(new.certificate())));
    }
    assert_eq!(belief.root_of(RotationPhase::Rollback), Some(Fingerprint::of(stage.mesh.certificate())));
}

#[tokio::test]
async fn the_first_replica_acknowledges_by_the_cluster_key_and_a_further_one_by_its_mesh_key() {
    use crate::{enrollment::Member, tunnels::Vendor as _};
    use prost::Message as _;
    use tunnel_certs::statement::ack::{self, By};
    let stage = Stage::new();
    let living = stage.open();
    let mesh = living.trust.belief().borrow().mesh();
    for (member, by) in [(Member::First, By::Cluster), (Member::Further, By::Mesh)] {
        let link = stage.link_of(&living.trust, member);
        let envelope = link.acknowledgement(RotationPhase::Standby, 1).unwrap();
        let provers = ack::Provers { cluster_key: Some(stage.cluster_key.public()), mesh: &mesh };
        let (said, proven) = ack::open(&envelope.encode_to_vec(), provers, clock::wall()).unwrap();
        assert_eq!((said.label, said.phase, proven), (label(), RotationPhase::Standby, by));
    }
}

#[tokio::test]
async fn a_bundle_without_the_roots_in_use_is_applied_all_the_same() {
    let stage = Stage::new();
    let living = stage.open();
    let other = ca(CaKind::Mesh);
    let bundle = TrustBundle { mesh_roots: roots(&[&other]), ..stage.bundle(2) };
    offered(&living, stage.sign(&bundle)).await.unwrap();
    let belief = living.trust.belief().borrow().clone();
    assert_eq!(belief.bundle.sequence, 2);
    assert!(belief.leaf.is_some(), "tunnels in place live on");
}

#[tokio::test]
async fn people_import_remove_and_rotate_at_the_socket() {
    use prost::Message as _;
    let stage = Stage::new();
    let living = stage.open();
    let access = AccessCa::load_or_create(&stage.path("state"), &label(), clock::wall()).unwrap();
    let clock = crate::clock::Clock::new(crate::clock::SystemWall, clock::wall());
    let desk = TrustDesk::new(living.trust.clone(), access, clock);
    let who = || Who::Peer(Peer { uid: 7 });
    desk.import_trust(stage.sign(&stage.bundle(2)), who()).await.unwrap();
    let foreign = Stage::new();
    let refused =
        desk.import_trust(foreign.bundle(3).make(&foreign.vendor_key).unwrap().encode_to_vec(), who());
    assert!(matches!(refused.await, Err(MembershipError::Refused(_))));
    assert_eq!(desk.trust().sequence, 2);
    let root = Fingerprint::of(stage.operator.certificate()).to_string();
    desk.remove_root(&root, "stolen".parse().unwrap(), who()).await.unwrap();
    assert!(desk.trust().roots.iter().any(|view| view.fingerprint == root && view.removed));
    let unknown = desk.remove_root(&"0".repeat(64), "".parse().unwrap(), who()).await;
    assert!(matches!(unknown, Err(MembershipError::Unknown(_))));
    assert!(!desk.rotate_access_ca(true, who()).await.unwrap().rotated, "not due");
    assert!(desk.rotate_access_ca(false, who()).await.unwrap().rotated);
    assert!(matches!(desk.rotate_access_ca(false, who()).await, Err(MembershipError::Refused(_))));
}

#[tokio::test]
async fn an_access_ca_is_replaced_to_its_end_whoever_waits_for_it() {
    let stage = Stage::new();
    let living = stage.open();
    let state = stage.path("state");
    let access = AccessCa::load_or_create(&state, &label(), clock::wall()).unwrap();
    let mut in_force = access.subscribe();
    let rotating = living.trust.rotate_access(&access, false, clock::wall(), By::default());
    tokio::select! {
        biased;
        _ = rotating => panic!("it waits for a disk"),
        // Whoever asked goes away.
        () = tokio::task::yield_now() => {}
    }
    tokio::time::timeout(PATIENCE, in_force.changed()).await.unwrap().unwrap();
    let anchors = |access: &AccessCa| access.subscribe().borrow().anchors(clock::wall());
    let found = AccessCa::load_or_create(&state, &label(), clock::wall()).unwrap();
    assert_eq!(anchors(&found), anchors(&access));
}

#[tokio::test]
async fn a_rotation_does_not_trade_a_certificate_that_lasts_for_one_of_a_moment() {
    let stage = Stage::with(Arc::new(ca_of(CaKind::Mesh, clock::wall().minus(DAY))));
    let new = ca(CaKind::Mesh);
    stage.write_bundle(&TrustBundle { mesh_roots: roots(&[&new, &stage.mesh]), ..stage.bundle(1) });
    let living = stage.open();
    let root = Fingerprint::of(new.certificate());
    living.trust.commands.send(Command::Rotate(root)).await.unwrap();
    let mut asking = living.trust.shared.asking.subscribe();
    tokio::time::timeout(PATIENCE, asking.wait_for(Option::is_some)).await.unwrap().unwrap();
    let moment = stage.leaf(&new, Duration::from_secs(60)).to_vec();
    assert!(matches!(living.trust.take_leaf(moment).await, Err(LeafError::Unwanted)));
    living.trust.take_leaf(stage.leaf(&new, HOUR).to_vec()).await.unwrap();
    let belief = living.trust.belief().borrow().clone();
    assert_eq!(belief.issuer(belief.leaf.as_ref().unwrap()), Some(root));
}
