//! Tunnels against a broker of our own making on a real QUIC listener: what a broker may do, and what it may not.

mod broker;
mod renewal;
mod world;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tunnel_protos::{
    Door,
    v1::{
        Doors, Drain, Probe, ReceivedStatus, SealedRequest, broker_message::Body as FromBroker,
        replica_message::Body as ToBroker,
    },
};
use tunnel_transport::{Closed, Code, Header, Kind, OpenError, Tunnel};

use self::{broker::Broker, world::World};

const PATIENCE: Duration = Duration::from_secs(10);

fn door(seed: u8) -> Door {
    Door::from_random([seed; 17])
}

#[tokio::test]
async fn attaches_and_answers_probes_with_the_engines_health() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    let mut attached = broker.attach().await;
    assert_eq!(attached.hello.capabilities, ["requests"]);
    assert_eq!(attached.hello.epoch, 7);
    attached.send(FromBroker::Probe(Probe { nonce: vec![9; 16] }));
    let reply =
        attached.next(|body| if let ToBroker::ProbeReply(reply) = body { Some(reply) } else { None }).await;
    assert_eq!((reply.nonce, reply.targets[0].target.as_str()), (vec![9; 16], "default"));
    world.eventually_attached(1).await;
    assert_eq!(world.status()[0].broker_id, "b1");
}

#[tokio::test]
async fn announces_all_doors_first_and_then_changes() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    world.grant(door(1));
    let mut attached = broker.attach().await;
    let full = Doors { full: true, added: vec![door(1).to_string()], removed: vec![] };
    assert_eq!(attached.doors().await, full);
    world.grant(door(2));
    assert_eq!(
        attached.doors().await,
        Doors { full: false, added: vec![door(2).to_string()], removed: vec![] }
    );
}

#[tokio::test]
async fn says_what_became_of_a_delivered_request() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    let mut attached = broker.attach().await;
    let sealed =
        SealedRequest { label: "aaaaaaaaaa".into(), ciphertext: vec![1, 2, 3].into(), ..Default::default() };
    let acknowledged = attached.sender.keep(broker::message(FromBroker::Deliver(sealed.clone()))).unwrap();
    let received = attached
        .next(|body| if let ToBroker::Received(received) = body { Some(received) } else { None })
        .await;
    assert_eq!(received.status(), ReceivedStatus::Taken);
    assert_eq!(received.envelope_id, tunnel_certs::seal::envelope_id(&sealed).as_bytes());
    timeout(PATIENCE, acknowledged).await.unwrap().unwrap();
    assert_eq!(world.delivered(), [sealed]);
}

#[tokio::test]
async fn a_flood_of_deliveries_waits_at_the_broker_while_the_disk_hangs() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    world.hang_the_disk();
    let mut attached = broker.attach().await;
    for seed in 0..100_u8 {
        attached.send(FromBroker::Deliver(SealedRequest { enc: vec![seed; 32], ..Default::default() }));
    }
    // Two round trips: all were received before the first reply, and those let in have run before the second.
    for _ in 0..2 {
        attached.send(FromBroker::Probe(Probe { nonce: vec![1; 16] }));
        attached.next(|body| matches!(body, ToBroker::ProbeReply(_)).then_some(())).await;
    }
    assert_eq!(world.delivered().len(), 64);
}

#[tokio::test]
async fn an_outcome_is_sent_again_on_the_next_tunnel_until_a_broker_has_stored_it() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    world.outcome(5);
    let mut attached = broker.attach().await;
    let outcome = attached.outcome().await;
    assert_eq!(outcome.1.enc, [5; 32]);
    attached.tunnel.close(Code::Internal);
    let mut again = broker.attach().await;
    let (id, outcome) = again.outcome().await;
    assert_eq!(outcome.enc, [5; 32]);
    again.sender.handled(id);
    world.eventually_acknowledged(5).await;
}

#[tokio::test]
async fn serves_sessions_through_known_doors_only() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    world.grant(door(1));
    let attached = broker.attach().await;
    let mut session =
        attached.tunnel.open(&Header::new(Kind::Session { door: door(1) }), PATIENCE).await.unwrap();
    session.write_all(b"hello").await.unwrap();
    session.shutdown().await.unwrap();
    let mut back = Vec::new();
    session.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"hello");
    for kind in [Kind::Session { door: door(2) }, Kind::Control] {
        let refused = attached.tunnel.open(&Header::new(kind), PATIENCE).await.unwrap_err();
        let code = if kind == Kind::Control { Code::UnknownKind } else { Code::UnknownDoor };
        assert_eq!(refused, OpenError::Refused(code));
    }
}

#[tokio::test]
async fn echoes_probes_over_a_session_stream_but_no_more_than_64_bytes() {
    let mut broker = Broker::start();
    let _world = World::start(&broker);
    let attached = broker.attach().await;
    let mut probe = attached.tunnel.open(&Header::new(Kind::Probe), PATIENCE).await.unwrap();
    probe.write_all(&[7; 100]).await.unwrap();
    let mut back = Vec::new();
    timeout(PATIENCE, probe.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, [7; 64]);
}

#[tokio::test]
async fn a_broker_that_does_not_probe_is_left_and_dialed_again() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    let attached = broker.attach().await;
    world.eventually_attached(1).await;
    let closed = timeout(PATIENCE, attached.tunnel.closed()).await.unwrap();
    assert_eq!(closed, Closed::ByPeer { code: Code::Silent, retry_after: None });
    broker.attach().await;
}

/// The replica has closed the tunnel and said why.
async fn heard(tunnel: &Tunnel, code: Code) {
    let closed = timeout(PATIENCE, tunnel.closed()).await.unwrap();
    assert_eq!(closed, Closed::ByPeer { code, retry_after: None });
}

#[tokio::test]
async fn a_tunnel_without_a_control_stream_is_left_and_dialed_again() {
    let mut broker = Broker::start();
    let _world = World::start(&broker);
    let tunnel = broker.accept().await;
    tunnel.open(&Header::new(Kind::Session { door: door(1) }), PATIENCE).await.unwrap_err();
    heard(&tunnel, Code::Malformed).await;
    broker.attach().await;
}

#[tokio::test]
async fn garbage_on_the_control_stream_ends_the_tunnel_only() {
    let mut broker = Broker::start();
    let _world = World::start(&broker);
    let tunnel = broker.accept().await;
    let mut control = tunnel.open(&Header::new(Kind::Control), PATIENCE).await.unwrap();
    control.write_all(&[0xff; 32]).await.unwrap();
    heard(&tunnel, Code::TooLarge).await;
    broker.attach().await;
}

#[tokio::test]
async fn drains_by_telling_the_broker_and_letting_sessions_end() {
    let mut broker = Broker::start();
    let mut world = World::start(&broker);
    world.grant(door(1));
    let mut attached = broker.attach().await;
    let mut session =
        attached.tunnel.open(&Header::new(Kind::Session { door: door(1) }), PATIENCE).await.unwrap();
    world.drain.begin();
    attached.next(|body| matches!(body, ToBroker::Draining(_)).then_some(())).await;
    session.write_all(b"still here").await.unwrap();
    session.shutdown().await.unwrap();
    let mut back = Vec::new();
    session.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"still here");
    timeout(PATIENCE, attached.tunnel.closed()).await.unwrap();
    world.ended().await;
}

#[tokio::test]
async fn a_draining_broker_is_shown_as_such_and_still_served() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    let attached = broker.attach().await;
    let told = attached.sender.keep(broker::message(FromBroker::Drain(Drain { until_ms: 1 }))).unwrap();
    timeout(PATIENCE, told).await.unwrap().unwrap();
    world.eventually_attached(0).await;
    assert_eq!(world.status()[0].state, "draining");
    let refused =
        attached.tunnel.open(&Header::new(Kind::Session { door: door(3) }), PATIENCE).await.unwrap_err();
    assert_eq!(refused, OpenError::Refused(Code::UnknownDoor));
}
