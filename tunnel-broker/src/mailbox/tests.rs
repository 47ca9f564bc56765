//! The mailbox over a real database file: what is handed in, delivered, answered and watched.

use futures_util::FutureExt;
use tempfile::TempDir;

use super::*;
use crate::{
    mailbox::{
        sealed::tests::{outcome, request},
        watch::News,
    },
    store::tests::temporary,
};

const NOW: UnixMillis = UnixMillis(1_000_000);
const QUOTA: Quota = Quota { per_operator: 3, total: 10 };

fn alice() -> OperatorName {
    "alice".parse().unwrap()
}

fn label() -> Label {
    "k3v7aaaaaa".parse().unwrap()
}

async fn mailbox() -> (Arc<Mailbox>, TempDir) {
    let (store, folder) = temporary().await;
    (Arc::new(Mailbox::open(store, QUOTA, 1_000, NOW).await.unwrap()), folder)
}

async fn submit(mailbox: &Mailbox, n: u8) -> EnvelopeId {
    let request = Request::try_from(request(n)).unwrap();
    mailbox.submit(&alice(), &request, NOW).await.unwrap();
    request.id
}

async fn answer(mailbox: &Mailbox, id: EnvelopeId, n: u8) -> Kept {
    mailbox.outcome(label(), &Outcome::try_from(outcome(id, n)).unwrap()).await.unwrap()
}

async fn taken(deliveries: &mut Deliveries) -> Vec<EnvelopeId> {
    deliveries.take(NOW).await.unwrap().into_iter().map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_request_made_while_the_cluster_is_offline_is_delivered_later() {
    let (mailbox, _folder) = mailbox().await;
    let id = submit(&mailbox, 1).await;
    let mut deliveries = mailbox.deliveries(label());
    deliveries.due().await;
    assert_eq!(taken(&mut deliveries).await, [id]);
    assert!(taken(&mut deliveries).await.is_empty());
}

#[tokio::test]
async fn a_request_wakes_the_tunnel_that_waits() {
    let (mailbox, _folder) = mailbox().await;
    let mut deliveries = mailbox.deliveries(label());
    assert!(taken(&mut deliveries).await.is_empty());
    assert!(deliveries.due().now_or_never().is_none());
    let id = submit(&mailbox, 1).await;
    deliveries.due().await;
    assert_eq!(taken(&mut deliveries).await, [id]);
}

#[tokio::test]
async fn what_was_not_received_is_delivered_again_after_a_reconnect() {
    let (mailbox, _folder) = mailbox().await;
    let id = submit(&mailbox, 1).await;
    let mut first = mailbox.deliveries(label());
    assert_eq!(taken(&mut first).await, [id]);
    first.sent(id).await.unwrap();
    drop(first);
    let mut second = mailbox.deliveries(label());
    second.due().await;
    assert_eq!(taken(&mut second).await, [id]);
    mailbox.received(label(), id, ReceivedStatus::Taken).await.unwrap();
    assert!(taken(&mut mailbox.deliveries(label())).await.is_empty());
}

#[tokio::test]
async fn requests_and_what_was_sent_survive_a_restart() {
    let (store, folder) = temporary().await;
    let before = Arc::new(Mailbox::open(store, QUOTA, 1_000, NOW).await.unwrap());
    let id = submit(&before, 1).await;
    before.deliveries(label()).sent(id).await.unwrap();
    before.close().await;
    let path = folder.path().join("broker.sqlite");
    let store = Store::open(&path, Duration::from_secs(5)).await.unwrap();
    let after = Arc::new(Mailbox::open(store, QUOTA, 1_000, NOW).await.unwrap());
    assert_eq!(taken(&mut after.deliveries(label())).await, [id]);
}

#[tokio::test]
async fn a_full_client_is_asked_again_later() {
    let (mailbox, _folder) = mailbox().await;
    let id = submit(&mailbox, 1).await;
    let mut deliveries = mailbox.deliveries(label());
    assert_eq!(taken(&mut deliveries).await, [id]);
    mailbox.received(label(), id, ReceivedStatus::Full).await.unwrap();
    deliveries.answered(id, ReceivedStatus::Full);
    assert!(deliveries.due().now_or_never().is_none());
    assert!(deliveries.again.unwrap() <= Instant::now() + Duration::from_secs(30));
    assert_eq!(taken(&mut deliveries).await, [id]);
}

#[tokio::test]
async fn the_same_request_again_changes_nothing() {
    let (mailbox, _folder) = mailbox().await;
    let id = submit(&mailbox, 1).await;
    mailbox.received(label(), id, ReceivedStatus::Taken).await.unwrap();
    let request = Request::try_from(request(1)).unwrap();
    assert_eq!(mailbox.submit(&alice(), &request, NOW).await.unwrap(), Delivery::Taken);
    let other = mailbox.submit(&"bob".parse().unwrap(), &request, NOW).await;
    assert!(matches!(other, Err(SubmitError::Foreign)));
}

#[tokio::test]
async fn an_operator_past_the_quota_is_refused() {
    let (mailbox, _folder) = mailbox().await;
    for n in 1..=3 {
        submit(&mailbox, n).await;
    }
    let request = Request::try_from(request(4)).unwrap();
    assert!(matches!(mailbox.submit(&alice(), &request, NOW).await, Err(SubmitError::Full)));
}

#[tokio::test]
async fn a_watch_gets_what_is_held_and_then_what_comes() {
    let (mailbox, _folder) = mailbox().await;
    let id = submit(&mailbox, 1).await;
    mailbox.received(label(), id, ReceivedStatus::Taken).await.unwrap();
    assert_eq!(answer(&mailbox, id, 1).await, Kept::New);
    let mut watch = mailbox.watch(&alice(), id).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), News::Delivery(Delivery::Taken));
    assert_eq!(watch.next().await.unwrap(), News::Outcome(outcome(id, 1)));
    assert!(watch.next().now_or_never().is_none());
    assert_eq!(answer(&mailbox, id, 1).await, Kept::Known);
    assert_eq!(answer(&mailbox, id, 2).await, Kept::New);
    assert_eq!(watch.next().await.unwrap(), News::Outcome(outcome(id, 2)));
}

#[tokio::test]
async fn only_the_submitter_may_watch() {
    let (mailbox, _folder) = mailbox().await;
    let id = submit(&mailbox, 1).await;
    let foreign = mailbox.watch(&"mallory".parse().unwrap(), id).await;
    assert!(matches!(foreign, Err(WatchError::Unknown)));
    let unknown = mailbox.watch(&alice(), EnvelopeId::new([9; 32])).await;
    assert!(matches!(unknown, Err(WatchError::Unknown)));
}

#[tokio::test]
async fn a_request_that_lapsed_is_said_to_have() {
    let (mailbox, _folder) = mailbox().await;
    let id = submit(&mailbox, 1).await;
    let mut watch = mailbox.watch(&alice(), id).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), News::Delivery(Delivery::Waiting));
    mailbox.tidy(NOW.plus(LAPSES_AFTER)).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), News::Delivery(Delivery::Lapsed));
    mailbox.tidy(NOW.plus(LAPSES_AFTER + HELD_FOR)).await.unwrap();
    assert!(matches!(mailbox.watch(&alice(), id).await, Err(WatchError::Unknown)));
}

#[tokio::test]
async fn outcomes_of_another_cluster_are_not_kept() {
    let (mailbox, _folder) = mailbox().await;
    let id = submit(&mailbox, 1).await;
    let outcome = Outcome::try_from(outcome(id, 1)).unwrap();
    let foreign = "k3v7bbbbbb".parse().unwrap();
    assert_eq!(mailbox.outcome(foreign, &outcome).await.unwrap(), Kept::Unasked);
    mailbox.received(foreign, id, ReceivedStatus::Unproven).await.unwrap();
    assert_eq!(taken(&mut mailbox.deliveries(label())).await, [id]);
}

#[tokio::test]
async fn endless_requests_wait_behind_sixteen_in_flight() {
    let (store, _folder) = temporary().await;
    let quota = Quota { per_operator: 100, total: 100 };
    let mailbox = Arc::new(Mailbox::open(store, quota, 1_000, NOW).await.unwrap());
    for n in 0..20 {
        submit(&mailbox, n).await;
    }
    let mut deliveries = mailbox.deliveries(label());
    let first = taken(&mut deliveries).await;
    assert_eq!(first.len(), 16);
    assert!(taken(&mut deliveries).await.is_empty());
    for id in &first {
        mailbox.received(label(), *id, ReceivedStatus::Taken).await.unwrap();
        deliveries.answered(*id, ReceivedStatus::Taken);
    }
    deliveries.due().await;
    assert_eq!(taken(&mut deliveries).await.len(), 4);
}
