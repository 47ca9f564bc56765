//! Requests in a real database file.

use std::time::Duration;

use super::*;
use crate::store::tests::temporary;

const QUOTA: Quota = Quota { per_operator: 3, total: 4 };
const NOW: UnixMillis = UnixMillis(1_000_000);
const LATER: UnixMillis = UnixMillis(2_000_000);

#[expect(non_snake_case, reason = "a constant in all but the compiler's eyes")]
pub(crate) fn LABEL() -> Label {
    "k3v7aaaaaa".parse().unwrap()
}

/// Holds a request named after `n`.
pub(crate) async fn hold(store: &Store, n: u8) -> EnvelopeId {
    assert_eq!(insert(store, n, "alice").await, Inserted::Held(Delivery::Waiting));
    EnvelopeId::new([n; 32])
}

async fn insert(store: &Store, n: u8, submitter: &str) -> Inserted {
    let sealed =
        SealedRequest { label: LABEL().to_string(), ciphertext: vec![n].into(), ..Default::default() };
    let submitted = NOW.plus(Duration::from_millis(n.into()));
    let new = NewRequest {
        id: EnvelopeId::new([n; 32]),
        label: LABEL(),
        submitter: &submitter.parse().unwrap(),
        sealed: &sealed,
        submitted,
        lapses: LATER,
    };
    store.insert_request(new, QUOTA).await.unwrap()
}

async fn waiting(store: &Store, now: UnixMillis) -> Vec<u8> {
    let all = store.waiting(LABEL(), now, 10).await.unwrap();
    all.iter().map(|(_, sealed)| sealed.ciphertext[0]).collect()
}

#[tokio::test]
async fn requests_are_idempotent_by_envelope_id() {
    let (store, _folder) = temporary().await;
    let id = hold(&store, 1).await;
    assert!(store.set_delivery(id, LABEL(), Delivery::Taken).await.unwrap());
    assert_eq!(insert(&store, 1, "alice").await, Inserted::Held(Delivery::Taken));
    assert_eq!(insert(&store, 1, "mallory").await, Inserted::Foreign);
}

#[tokio::test]
async fn quotas_refuse_and_never_evict() {
    let (store, _folder) = temporary().await;
    for n in 1..=3 {
        hold(&store, n).await;
    }
    assert_eq!(insert(&store, 4, "alice").await, Inserted::Full);
    assert_eq!(insert(&store, 4, "bob").await, Inserted::Held(Delivery::Waiting));
    assert_eq!(insert(&store, 5, "carol").await, Inserted::Full);
    assert_eq!(waiting(&store, NOW).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_was_sent_waits_until_it_is_received() {
    let (store, _folder) = temporary().await;
    let [first, second, third] = [hold(&store, 1).await, hold(&store, 2).await, hold(&store, 3).await];
    store.set_delivery(first, LABEL(), Delivery::Sent).await.unwrap();
    store.set_delivery(second, LABEL(), Delivery::Full).await.unwrap();
    store.set_delivery(third, LABEL(), Delivery::Taken).await.unwrap();
    assert_eq!(waiting(&store, NOW).await, [1, 2]);
    assert_eq!(store.waiting_labels(NOW).await.unwrap(), [LABEL()]);
}

#[tokio::test]
async fn a_finished_request_stays_finished() {
    let (store, _folder) = temporary().await;
    let id = hold(&store, 1).await;
    assert!(store.set_delivery(id, LABEL(), Delivery::UnknownKey).await.unwrap());
    assert!(!store.set_delivery(id, LABEL(), Delivery::Taken).await.unwrap());
    assert_eq!(store.request(id).await.unwrap().unwrap().delivery, Delivery::UnknownKey);
}

#[tokio::test]
async fn another_cluster_cannot_answer_for_a_request() {
    let (store, _folder) = temporary().await;
    let id = hold(&store, 1).await;
    let foreign = "k3v7bbbbbb".parse().unwrap();
    assert!(!store.set_delivery(id, foreign, Delivery::Taken).await.unwrap());
    assert!(store.waiting(foreign, NOW, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn requests_lapse_at_their_end() {
    let (store, _folder) = temporary().await;
    let [waits, taken] = [hold(&store, 1).await, hold(&store, 2).await];
    store.set_delivery(taken, LABEL(), Delivery::Taken).await.unwrap();
    assert!(waiting(&store, LATER).await.is_empty());
    assert_eq!(store.lapse(LATER).await.unwrap(), [waits]);
    assert_eq!(store.request(waits).await.unwrap().unwrap().delivery, Delivery::Lapsed);
    assert!(store.waiting_labels(NOW).await.unwrap().is_empty());
}

#[tokio::test]
async fn forgets_old_requests_with_their_outcomes() {
    let (store, _folder) = temporary().await;
    let id = hold(&store, 1).await;
    store.insert_outcome(id, LABEL(), [1; 32], &Default::default()).await.unwrap();
    assert_eq!(store.forget(NOW).await.unwrap(), 0);
    assert_eq!(store.forget(LATER).await.unwrap(), 1);
    assert_eq!(store.request(id).await.unwrap(), None);
    assert!(store.outcomes(id, Default::default()).await.unwrap().is_empty());
}
