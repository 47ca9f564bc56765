//! Hello, welcome, probes, and the ends of tunnels.

use std::time::Duration;

use tunnel_protos::v1::{Doors, Draining, replica_message};
use tunnel_transport::Code;

use crate::{
    World,
    operator::{all, host, knock},
    replica::{Replica, Script, connect, control, door, send},
    vendor::label,
};

#[tokio::test]
async fn a_replica_is_welcomed_and_probed_at_once() {
    let world = World::start_with(|config| config.timeouts.probe_interval = Duration::from_secs(60)).await;
    let mut replica = Replica::open(&world, Script::default()).await.unwrap();
    let welcome = replica.welcome().await;
    assert_eq!(welcome.probe_interval_ms, 60_000);
    assert_eq!(welcome.limits.unwrap().doors, 4096);
    let first = crate::in_time("probe", replica.said.recv()).await.unwrap();
    assert!(matches!(first.body, Some(tunnel_protos::v1::broker_message::Body::Probe(_))));
}

#[tokio::test]
async fn two_missed_probes_end_the_tunnel() {
    let world = World::start().await;
    let script = Script { answers_probes: false, ..Default::default() };
    let replica = Replica::open(&world, script).await.unwrap();
    assert_eq!(replica.closed().await, Code::Silent);
}

#[tokio::test]
async fn a_replica_that_answers_probes_stays() {
    let world = World::start_with(|config| config.timeouts.probe_interval = Duration::from_millis(100)).await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    for _ in 0..4 {
        crate::in_time("probes", replica.probed()).await;
    }
    assert_eq!(replica.tunnel.close_reason(), None);
}

#[tokio::test]
async fn a_newer_tunnel_of_the_same_replica_takes_its_place() {
    let world = World::start().await;
    let old = Replica::attach(&world, Script::default()).await;
    let new = Replica::attach(&world, Script { epoch: 2, ..Default::default() }).await;
    assert_eq!(old.closed().await, Code::Superseded);
    assert_eq!(new.tunnel.close_reason(), None);
}

#[tokio::test]
async fn an_older_start_of_a_replica_is_refused() {
    let world = World::start().await;
    let new = Replica::attach(&world, Script { epoch: 2, ..Default::default() }).await;
    let old = Replica::open(&world, Script { epoch: 1, ..Default::default() }).await.unwrap();
    assert_eq!(old.closed().await, Code::Superseded);
    assert_eq!(new.tunnel.close_reason(), None);
}

#[tokio::test]
async fn no_version_in_common_ends_the_tunnel() {
    let world = World::start().await;
    let script = Script { versions: (2, 9), ..Default::default() };
    assert_eq!(Replica::open(&world, script).await.unwrap().closed().await, Code::Version);
}

#[tokio::test]
async fn a_first_message_that_is_no_hello_ends_the_tunnel() {
    let world = World::start().await;
    let tunnel = connect(&world, &Script::default()).await.unwrap();
    let mut control = control(&tunnel).await;
    send(&control.sender(), replica_message::Body::Doors(Doors::default()));
    let (closed, _) = tokio::join!(crate::in_time("close", tunnel.closed()), control.next());
    assert!(matches!(closed, tunnel_transport::Closed::ByPeer { code: Code::Malformed, .. }), "{closed:?}");
}

#[tokio::test]
async fn endless_doors_end_the_tunnel() {
    let world = World::start_with(|config| config.limits.connections.doors_per_tunnel = 2).await;
    let replica = Replica::attach(&world, Script::default()).await;
    replica.announce(&[door(1), door(2), door(3)]);
    assert_eq!(replica.closed().await, Code::TooLarge);
}

#[tokio::test]
async fn a_tunnel_ends_with_its_certificate() {
    let world = World::start().await;
    let credential = world.vendor.replica_for(label('a'), "r0", Duration::from_secs(2));
    let script = Script { credential: Some(credential), ..Default::default() };
    let replica = Replica::open(&world, script).await.unwrap();
    assert_eq!(replica.closed().await, Code::Expired);
}

#[tokio::test]
async fn other_roles_are_refused_as_replicas() {
    let world = World::start().await;
    let vendor = &world.vendor;
    let others = [vendor.broker(), vendor.operator("alice"), vendor.grant(label('a'))];
    for credential in others {
        let script = Script { credential: Some(credential), ..Default::default() };
        // In TLS 1.3 the client may be done before it hears of the refusal.
        match connect(&world, &script).await {
            Ok(tunnel) => drop(crate::in_time("close", tunnel.closed()).await),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let (stream, _) = knock(&world, &host('a', door(1))).await;
    assert_eq!(all(stream).await, [21, 3, 3, 0, 2, 2, 112]);
}

#[tokio::test]
async fn a_replica_that_is_leaving_gets_no_new_sessions() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    send(&replica.sender, replica_message::Body::Draining(Draining::default()));
    crate::in_time("probes", replica.probed()).await;
    let (stream, _) = knock(&world, &host('a', door(1))).await;
    assert_eq!(all(stream).await, [21, 3, 3, 0, 2, 2, 112]);
    assert_eq!(replica.tunnel.close_reason(), None);
}
