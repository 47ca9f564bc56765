//! New cluster and sealing keys: registered by the old, in force once confirmed, through every loss.

use std::sync::Arc;

use prost::Message;
use tunnel_certs::statement::registration;
use tunnel_protos::{approvers::EnrollmentState, v1::TokenKind};

use crate::{
    approvers::{EnrollmentDesk, Peer, RotateKeysError, Who},
    enrollment::{OfferError, testing::*},
    keys::PublicPair,
};

const SOMEBODY: Who = Who::Peer(Peer { uid: 4242 });

/// A client that takes requests under entry 1.
async fn confirmed() -> (Arc<Vendor>, Site, Running) {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    assert!(matches!(client.entries.rotate_keys(SOMEBODY).await, Err(RotateKeysError::NotEnrolled)));
    let entry = vendor.signed(&site.keys(), 1);
    client.entries.offer(entry.clone()).await.unwrap();
    client.confirm(&words_of(&entry)).await.unwrap();
    client.admitted().await;
    (vendor, site, client)
}

/// The keys that a client has registered, checked as the vendor's administrator does.
fn registered(client: &Running, old: &PublicPair) -> PublicPair {
    let envelope = client.entries.registration().borrow().clone().unwrap();
    let opened = registration::open_replacement(&envelope.encode_to_vec(), &old.cluster).unwrap();
    assert_eq!(client.view().registration_words, opened.words.to_string());
    PublicPair { cluster: opened.registration.cluster_key, sealing: opened.registration.sealing_key }
}

fn current(client: &Running) -> PublicPair {
    let ring = client.entries.keys().borrow().clone();
    PublicPair { cluster: ring.current.cluster.public().clone(), sealing: *ring.current.sealing.public() }
}

#[tokio::test]
async fn new_keys_are_in_force_once_their_words_were_typed_and_not_before() {
    let (vendor, site, client) = confirmed().await;
    let old = site.keys();
    client.entries.rotate_keys(SOMEBODY).await.unwrap();
    let next = registered(&client, &old);
    assert_ne!(next, old);
    client.entries.rotate_keys(SOMEBODY).await.unwrap();
    assert_eq!(registered(&client, &old), next, "asked twice, made once");
    let entry = vendor.signed(&next, 2);
    client.entries.offer(entry.clone()).await.unwrap();
    assert_eq!((current(&client), client.takes_requests()), (old.clone(), true), "the old ones serve on");
    assert!(client.view().entry_waits && client.view().state() == EnrollmentState::Enrolled);
    client.confirm(&words_of(&entry)).await.unwrap();
    assert_eq!(current(&client), next);
    let ring = client.entries.keys().borrow().clone();
    let (previous, until) = ring.previous.clone().unwrap();
    assert_eq!(*previous.sealing.public(), old.sealing);
    let left = until.since(now());
    assert!(left <= DAY && left > DAY / 2, "{left:?}");
    assert!(client.takes_requests() && client.entries.registration().borrow().is_none());
    let back = client.entries.offer(vendor.signed(&old, 3)).await;
    assert!(matches!(back, Err(OfferError::Refused(_))), "nobody goes back to the old keys");
    drop(client);
    let client = site.start();
    assert_eq!((current(&client), client.takes_requests(), site.keys()), (next.clone(), true, next));
    let ring = client.entries.keys().borrow().clone();
    assert_eq!(*ring.previous.clone().unwrap().0.cluster.public(), old.cluster);
}

#[tokio::test]
async fn a_kill_at_any_moment_neither_loses_nor_doubles_a_key() {
    let (vendor, site, client) = confirmed().await;
    let old = site.keys();
    client.entries.rotate_keys(SOMEBODY).await.unwrap();
    let next = registered(&client, &old);
    drop(client);
    let client = site.start();
    assert_eq!(registered(&client, &old), next, "registered goes on after a restart");
    let entry = vendor.signed(&next, 2);
    client.entries.offer(entry.clone()).await.unwrap();
    drop(client);
    let client = site.start();
    client.entries.offer(entry.clone()).await.unwrap();
    // As if killed after the record and before any file was moved.
    let kept: Vec<_> =
        ["cluster.key", "sealing.key", "cluster.next.key", "sealing.next.key", "registration.next.pb"]
            .map(|name| (site.state().join(name), std::fs::read(site.state().join(name)).unwrap()))
            .into();
    client.confirm(&words_of(&entry)).await.unwrap();
    drop(client);
    for (path, bytes) in kept {
        tunnel_certs::file::write_private(&path, &bytes).unwrap();
    }
    let client = site.start();
    assert_eq!((current(&client), client.takes_requests()), (next, true));
    assert!(client.entries.registration().borrow().is_none());
    let ring = client.entries.keys().borrow().clone();
    assert_eq!(*ring.previous.clone().unwrap().0.sealing.public(), old.sealing);
}

#[tokio::test]
async fn the_old_keys_can_be_renewed_while_the_next_wait() {
    let (vendor, site, client) = confirmed().await;
    let old = site.keys();
    client.entries.rotate_keys(SOMEBODY).await.unwrap();
    let next = registered(&client, &old);
    client.entries.offer(vendor.signed(&old, 2)).await.unwrap();
    assert_eq!((client.view().entry_sequence, current(&client)), (2, old));
    let stale = client.entries.offer(vendor.signed(&next, 1)).await;
    assert!(matches!(stale, Err(OfferError::Refused(_))));
    let entry = vendor.signed(&next, 3);
    client.entries.offer(entry.clone()).await.unwrap();
    client.confirm(&words_of(&entry)).await.unwrap();
    assert_eq!(current(&client), next);
}
