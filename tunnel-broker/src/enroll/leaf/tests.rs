//! The broker's own certificate over time. Nothing here waits: time is an argument.

use tunnel_protos::v1::RotationPhase;

use super::*;
use crate::enroll::testing::{Bench, DAY, HOUR, MINUTE, NOW};

fn leaf(bench: &Bench) -> Arc<OwnLeaf> {
    bench.enroll.leaf().borrow().clone().unwrap()
}

fn issuer(bench: &Bench) -> Vec<u8> {
    leaf(bench).issuer.certificate().to_vec()
}

#[tokio::test]
async fn it_is_there_from_the_start_under_the_brokers_name() {
    let bench = Bench::with(|config| config.broker_id = "b7".parse().unwrap()).await;
    let identity = leaf(&bench).credential.identity().unwrap();
    assert_eq!(identity.to_string(), "spiffe://vendor/v1/broker/b7");
    assert_eq!(leaf(&bench).credential.validity().1, NOW.plus(DAY));
}

#[tokio::test]
async fn it_is_renewed_at_two_thirds_and_not_before() {
    let bench = Bench::new().await;
    let first = leaf(&bench);
    assert_eq!(bench.enroll.renew_own_leaf(NOW.plus(HOUR)), LOOK);
    bench.enroll.renew_own_leaf(NOW.plus(14 * HOUR));
    assert!(Arc::ptr_eq(&first, &leaf(&bench)));
    let later = NOW.plus(18 * HOUR);
    bench.enroll.renew_own_leaf(later);
    let second = leaf(&bench);
    assert_eq!(second.credential.validity().1, later.plus(DAY));
    assert_ne!(first.credential.key().public(), second.credential.key().public());
}

#[tokio::test]
async fn a_failed_renewal_leaves_the_old_one_and_is_tried_again() {
    let bench = Bench::new().await;
    let (first, other) = (leaf(&bench), Bench::new().await);
    bench.trust(2, &[other.mesh.certificate()]);
    assert_eq!(bench.enroll.renew_own_leaf(NOW.plus(18 * HOUR)), RETRY);
    assert!(Arc::ptr_eq(&first, &leaf(&bench)));
    bench.trust(3, &[bench.mesh.certificate()]);
    bench.enroll.renew_own_leaf(NOW.plus(18 * HOUR));
    assert!(!Arc::ptr_eq(&first, &leaf(&bench)));
}

#[tokio::test]
async fn another_ca_signs_it_as_soon_as_the_rotation_says_so() {
    let bench = Bench::new().await;
    let old = bench.mesh.certificate().to_vec();
    let new = bench.enroll.prepare_mesh_ca(NOW).await.unwrap();
    bench.trust(2, &[bench.mesh.certificate(), &new]);
    for (phase, wanted) in [
        (RotationPhase::Init, &old),
        (RotationPhase::UpdateReplicas, &old),
        (RotationPhase::UpdateBrokers, &new.to_vec()),
        (RotationPhase::Rollback, &old),
    ] {
        bench.enroll.phase.send_replace(phase);
        bench.enroll.renew_own_leaf(NOW.plus(MINUTE));
        assert_eq!(issuer(&bench), *wanted, "{phase:?}");
    }
}

#[tokio::test]
async fn whoever_follows_it_sees_a_change_of_the_bundle_at_once() {
    let bench = Bench::with(|config| config.leaf_life = 7 * DAY).await;
    let new = bench.enroll.prepare_mesh_ca(clock::now()).await.unwrap();
    let (mut followed, (drain, watch)) = (bench.enroll.leaf(), drain::channel());
    followed.mark_unchanged();
    bench.trust(2, &[&new]);
    let changed = async {
        followed.changed().await.unwrap();
        drain.begin();
    };
    let both = async { tokio::join!(bench.enroll.keep_leaf(&watch), changed) };
    tokio::time::timeout(MINUTE / 3, both).await.unwrap();
    assert_eq!(issuer(&bench), new.to_vec());
}

#[tokio::test]
async fn a_broker_without_any_ca_starts_without_one() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let store = crate::store::Store::open(&folder.path().join("x.sqlite"), MINUTE).await.unwrap();
    let around = crate::enroll::Surroundings { trust: bench.trust.subscribe(), entry: Box::new(|_| None) };
    let config = crate::config::EnrollConfig::default();
    let enroll = Enroll::open(&config, folder.path(), store, around, NOW).await.unwrap();
    assert!(enroll.leaf().borrow().is_none());
    assert_eq!(enroll.renew_own_leaf(NOW), LOOK);
}

#[tokio::test]
async fn a_configured_ca_that_the_bundle_does_not_name_is_told_at_start() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    bench.trust(2, &[other.mesh.certificate()]);
    let store = crate::store::Store::open(&bench.folder.path().join("x.sqlite"), MINUTE).await.unwrap();
    let around = crate::enroll::Surroundings { trust: bench.trust.subscribe(), entry: Box::new(|_| None) };
    let opened = Enroll::open(&bench.config, bench.folder.path(), store, around, NOW).await;
    let error = opened.unwrap_err();
    assert!(matches!(error, crate::enroll::EnrollError::Leaf(LeafError::NoAuthority)), "{error}");
}
