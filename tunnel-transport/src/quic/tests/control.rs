use bytes::Bytes;
use tokio::time::timeout;
use tunnel_protos::v1::{BrokerMessage, Probe, ProbeReply, ReplicaMessage, broker_message, replica_message};

use super::*;
use crate::{
    StreamError,
    control::{Control, ControlError, ControlLimits, SendError},
    frame::CONTROL_CAP,
};

type BrokerEnd = Control<BrokerMessage, ReplicaMessage>;
type ReplicaEnd = Control<ReplicaMessage, BrokerMessage>;

const LIMITS: ControlLimits =
    ControlLimits { queued: 8, bytes: 3 << 20, repeat: Duration::from_millis(20), stalled: SHORT };

fn probe(nonce: Vec<u8>) -> BrokerMessage {
    BrokerMessage { id: 0, body: Some(broker_message::Body::Probe(Probe { nonce })) }
}

fn reply(nonce: Vec<u8>) -> ReplicaMessage {
    let reply = ProbeReply { nonce, targets: Vec::new() };
    ReplicaMessage { id: 0, body: Some(replica_message::Body::ProbeReply(reply)) }
}

fn nonce(message: &BrokerMessage) -> &[u8] {
    match &message.body {
        Some(broker_message::Body::Probe(probe)) => &probe.nonce,
        _ => &[],
    }
}

async fn ends(pair: &Pair) -> (BrokerEnd, ReplicaEnd) {
    let (broker, replica) = pair.stream().await;
    (Control::new(broker, LIMITS), Control::new(replica, LIMITS))
}

/// The replica's end and the bare stream of a broker that writes what it likes.
async fn hostile(pair: &Pair) -> (Stream, ReplicaEnd) {
    let (broker, replica) = pair.stream().await;
    (broker, Control::new(replica, LIMITS))
}

async fn error_after(bytes: &'static [u8], finish: bool) -> ControlError {
    let pair = Pair::new().await;
    let (broker, mut replica) = hostile(&pair).await;
    let (_recv, mut send) = broker.split();
    send.write_all_chunks(&mut [Bytes::from_static(bytes)]).await.unwrap();
    if finish {
        send.finish().unwrap();
    }
    timeout(LONG, replica.next()).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn messages_pass_both_ways() {
    let pair = Pair::new().await;
    let (mut broker, mut replica) = ends(&pair).await;
    broker.sender().send(&probe(vec![1])).unwrap();
    replica.sender().send(&reply(vec![2])).unwrap();
    let (to_broker, to_replica) = tokio::join!(broker.next(), replica.next());
    assert_eq!((to_broker.unwrap(), to_replica.unwrap()), (reply(vec![2]), probe(vec![1])));
}

#[tokio::test]
async fn a_message_of_the_largest_size_passes() {
    let pair = Pair::new().await;
    let (mut broker, mut replica) = ends(&pair).await;
    let large = probe(vec![7; CONTROL_CAP - 16]);
    broker.sender().send(&large).unwrap();
    let received = tokio::select! {
        received = replica.next() => received,
        _ = broker.next() => unreachable!(),
    };
    assert_eq!(received.unwrap(), large);
    assert!(matches!(broker.sender().send(&probe(vec![7; CONTROL_CAP])), Err(SendError::Frame(_))));
}

#[tokio::test]
async fn what_must_not_be_lost_is_repeated_until_it_was_handled() {
    let pair = Pair::new().await;
    let (mut broker, mut replica) = ends(&pair).await;
    let acknowledged = broker.sender().keep(probe(vec![5])).unwrap();
    let answers = replica.sender();
    let handler = async {
        // Not handled twice, as if storing had failed; then it is.
        for _ in 0..2 {
            assert_eq!(nonce(&replica.next().await.unwrap()), [5]);
        }
        let message = replica.next().await.unwrap();
        answers.handled(message.id);
        replica.next().await
    };
    tokio::select! {
        acknowledged = acknowledged => acknowledged.unwrap(),
        message = handler => unreachable!("{message:?}"),
        message = broker.next() => unreachable!("{message:?}"),
    }
}

#[tokio::test]
async fn a_waiter_learns_that_the_tunnel_is_gone() {
    let pair = Pair::new().await;
    let (broker, _replica) = ends(&pair).await;
    let sender = broker.sender();
    let acknowledged = sender.keep(probe(vec![5])).unwrap();
    drop(broker);
    assert!(acknowledged.await.is_err());
    assert_eq!(sender.send(&probe(vec![])), Err(SendError::Closed));
}

#[tokio::test]
async fn an_oversized_frame_ends_the_tunnel() {
    let error = error_after(&[0, 0x10, 0, 1], false).await;
    assert!(matches!(error, ControlError::Frame(_)));
    assert_eq!(error.code(), Code::TooLarge);
}

#[tokio::test]
async fn a_malformed_frame_ends_the_tunnel() {
    let error = error_after(&[0, 0, 0, 1, 0xff], false).await;
    assert!(matches!(error, ControlError::Decode(_)));
    assert_eq!(error.code(), Code::Malformed);
}

#[tokio::test]
async fn a_truncated_frame_is_no_message() {
    assert_eq!(error_after(&[0, 0, 0, 9, 1], true).await, ControlError::Ended);
}

#[tokio::test]
async fn messages_of_a_newer_version_are_ignored() {
    // Field 99, then an empty message, then a probe; with nothing known in the first two.
    let pair = Pair::new().await;
    let (broker, mut replica) = hostile(&pair).await;
    let (_recv, mut send) = broker.split();
    let known = crate::frame::encode(&probe(vec![1]), CONTROL_CAP).unwrap();
    let unknown = Bytes::from_static(&[0, 0, 0, 3, 0x9a, 0x06, 0, 0, 0, 0, 0]);
    send.write_all_chunks(&mut [unknown, known]).await.unwrap();
    assert_eq!(timeout(LONG, replica.next()).await.unwrap(), Ok(probe(vec![1])));
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_lost() {
    let pair = Pair::with(Limits { stream_window: 4096, send_window: 4096, ..Limits::default() }).await;
    let (_deaf, mut replica) = hostile(&pair).await;
    replica.sender().send(&reply(vec![0; CONTROL_CAP - 16])).unwrap();
    let error = timeout(LONG, replica.next()).await.unwrap().unwrap_err();
    assert_eq!((error.code(), error), (Code::Silent, ControlError::Stalled));
}

#[tokio::test]
async fn a_reset_ends_it_with_its_code() {
    let pair = Pair::new().await;
    let (broker, mut replica) = hostile(&pair).await;
    broker.abort(Code::Superseded);
    let error = timeout(LONG, replica.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, ControlError::Stream(StreamError::Reset(Code::Superseded))), "{error}");
}
