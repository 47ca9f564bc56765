//! Start, drain, restart, and what is refused at build.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tunnel_broker::{Broker, BuildError};
use tunnel_protos::v1::broker_message;
use tunnel_transport::Code;

use crate::{
    World, in_time,
    operator::{host, knock},
    replica::{Replica, Script, door},
};

#[tokio::test]
async fn drain_tells_replicas_closes_the_listener_and_finishes_sessions() {
    let mut world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (mut operator, hello) = knock(&world, &host('a', door(1))).await;
    let offer = in_time("session", replica.offers.recv()).await.unwrap();
    let mut gate = offer.accept(Duration::from_secs(5)).await.unwrap();
    gate.read_exact(&mut vec![0; hello.len()]).await.unwrap();
    let running = world.running.take().unwrap();
    let readiness = running.readiness();
    let tcp = world.addresses.tcp;
    let used = async {
        let told = replica.told().await;
        assert!(matches!(told.body, Some(broker_message::Body::Drain(_))), "{told:?}");
        assert!(!readiness.is_ready());
        // The listener closes first; a session under way goes on to its own end.
        in_time("closed listener", async { while TcpStream::connect(tcp).await.is_ok() {} }).await;
        gate.write_all(b"last words").await.unwrap();
        gate.shutdown().await.unwrap();
        operator.shutdown().await.unwrap();
        let mut said = String::new();
        in_time("last words", operator.read_to_string(&mut said)).await.unwrap();
        assert_eq!(said, "last words");
        assert_eq!(replica.closed().await, Code::Draining);
    };
    let (finished, ()) = tokio::join!(running.drain(Duration::from_secs(15)), used);
    assert!(finished);
}

#[tokio::test]
async fn a_drain_ends_with_its_grace_period() {
    let mut world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (_operator, _) = knock(&world, &host('a', door(1))).await;
    let offer = in_time("session", replica.offers.recv()).await.unwrap();
    let _gate = offer.accept(Duration::from_secs(5)).await.unwrap();
    let running = world.running.take().unwrap();
    let finished = in_time("drain", running.drain(Duration::from_millis(200))).await;
    assert!(!finished);
    assert_eq!(replica.closed().await, Code::Draining);
}

#[tokio::test]
async fn a_restarted_broker_ends_old_tunnels_at_once() {
    let mut world = World::start().await;
    let replica = Replica::attach(&world, Script::default()).await;
    let key = std::fs::read(world.state_dir().join("quic-reset.key")).unwrap();
    world.restart().await;
    assert_eq!(std::fs::read(world.state_dir().join("quic-reset.key")).unwrap(), key);
    // The replica says something, and the broker answers that it knows no such connection.
    replica.announce(&[door(2)]);
    in_time("reset", replica.tunnel.closed()).await;
    let again = Replica::attach(&world, Script { epoch: 2, ..Default::default() }).await;
    assert_eq!(again.tunnel.close_reason(), None);
}

#[tokio::test]
async fn ports_and_folder_are_free_after_a_drain() {
    let mut world = World::start().await;
    let running = world.running.take().unwrap();
    assert!(running.drain(Duration::from_secs(5)).await);
    world.restart().await;
    Replica::attach(&world, Script::default()).await;
}

#[tokio::test]
async fn files_that_do_not_fit_together_are_refused_at_build() {
    let world = World::start().await;
    let mut swapped = world.config.clone();
    swapped.mesh = Some(swapped.api.clone());
    assert!(matches!(Broker::build(swapped).await, Err(BuildError::Trust(_))));
    let other = tempfile::tempdir().unwrap();
    let mut foreign = crate::vendor::Vendor::create(other.path()).config();
    foreign.trust.vendor_keys.clone_from(&world.config.trust.vendor_keys);
    assert!(matches!(Broker::build(foreign).await, Err(BuildError::Trust(_))));
    let mut taken = world.config.clone();
    taken.listen.quic = world.addresses.quic;
    taken.state_dir.push("other");
    assert!(matches!(Broker::build(taken).await, Err(BuildError::Quic(_))));
}
