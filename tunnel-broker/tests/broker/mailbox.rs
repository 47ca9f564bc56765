//! Requests and outcomes between operators and clusters, which the broker cannot read.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;
use tonic::{Code, Streaming};
use tunnel_broker::Config;
use tunnel_certs::seal::envelope_id;
use tunnel_protos::{
    operators::{
        Delivery, SubmitRequest, WatchRequestEvent, WatchRequestRequest, watch_request_event::Event,
    },
    v1::{ReceivedStatus, SealedOutcome, SealedRequest},
};

use crate::{
    World, in_time,
    operator::api,
    operators::served,
    replica::{Replica, Script},
    vendor::label,
};

/// A request that nobody can open.
pub(crate) fn sealed(c: char, n: u8) -> SealedRequest {
    SealedRequest {
        label: label(c).to_string(),
        key_id: vec![1; 8],
        enc: vec![n; 32],
        ciphertext: vec![n; 40].into(),
    }
}

fn outcome(request: &SealedRequest, n: u8) -> SealedOutcome {
    let envelope_id = envelope_id(request).as_bytes().to_vec();
    SealedOutcome { envelope_id, enc: vec![n; 32], ciphertext: vec![n; 40].into() }
}

/// A broker that serves the entry of cluster `a`.
async fn world() -> World {
    world_with(|_| {}).await
}

async fn world_with(change: impl FnOnce(&mut Config)) -> World {
    let world = World::serving(&[("acme/prod", 'a')], change).await;
    served(&world, 1).await;
    world
}

async fn submit(world: &World, request: &SealedRequest) -> Delivery {
    let mut api = api(world, &world.vendor.operator("alice"));
    let reply = api.submit(SubmitRequest { request: Some(request.clone()) }).await.unwrap().into_inner();
    assert_eq!(reply.envelope_id, envelope_id(request).as_bytes());
    reply.delivery()
}

async fn watch(
    world: &World,
    who: &str,
    request: &SealedRequest,
) -> Result<Streaming<WatchRequestEvent>, Code> {
    let id = WatchRequestRequest { envelope_id: envelope_id(request).as_bytes().to_vec() };
    let watch = api(world, &world.vendor.operator(who)).watch_request(id).await;
    watch.map(tonic::Response::into_inner).map_err(|status| status.code())
}

async fn next(events: &mut Streaming<WatchRequestEvent>) -> Event {
    in_time("event", events.message()).await.unwrap().unwrap().event.unwrap()
}

/// Skips what may be seen on the way there.
async fn until(events: &mut Streaming<WatchRequestEvent>, wanted: Delivery) {
    while next(events).await != Event::Delivery(wanted.into()) {}
}

#[tokio::test]
async fn a_request_reaches_the_cluster_and_its_outcomes_come_back() {
    let world = world().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let request = sealed('a', 1);
    submit(&world, &request).await;
    let mut events = watch(&world, "alice", &request).await.unwrap();
    assert_eq!(replica.delivered().await, request);
    replica.receive(envelope_id(&request).as_bytes(), ReceivedStatus::Taken);
    until(&mut events, Delivery::Taken).await;
    for n in 1..=2 {
        replica.answer(outcome(&request, n)).await;
        assert_eq!(next(&mut events).await, Event::Outcome(outcome(&request, n)));
    }
    let mut later = watch(&world, "alice", &request).await.unwrap();
    assert_eq!(next(&mut later).await, Event::Delivery(Delivery::Taken.into()));
    assert_eq!(next(&mut later).await, Event::Outcome(outcome(&request, 1)));
    assert_eq!(next(&mut later).await, Event::Outcome(outcome(&request, 2)));
}

#[tokio::test]
async fn a_request_made_while_the_cluster_is_offline_is_delivered_later() {
    let world = world().await;
    let request = sealed('a', 1);
    assert_eq!(submit(&world, &request).await, Delivery::Waiting);
    let mut replica = Replica::attach(&world, Script::default()).await;
    assert_eq!(replica.delivered().await, request);
}

#[tokio::test]
async fn a_request_is_delivered_again_after_a_reconnect_until_it_is_received() {
    let world = world().await;
    let request = sealed('a', 1);
    submit(&world, &request).await;
    let mut first = Replica::attach(&world, Script::default()).await;
    assert_eq!(first.delivered().await, request);
    drop(first);
    let mut second = Replica::attach(&world, Script { epoch: 2, ..Default::default() }).await;
    assert_eq!(second.delivered().await, request);
    let mut events = watch(&world, "alice", &request).await.unwrap();
    second.receive(envelope_id(&request).as_bytes(), ReceivedStatus::Known);
    until(&mut events, Delivery::Taken).await;
    drop(second);
    let mut third = Replica::attach(&world, Script { epoch: 3, ..Default::default() }).await;
    let next = sealed('a', 2);
    submit(&world, &next).await;
    assert_eq!(third.delivered().await, next);
}

#[tokio::test]
async fn requests_survive_a_restart_of_the_broker() {
    let mut world = world().await;
    let request = sealed('a', 1);
    submit(&world, &request).await;
    world.restart().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    assert_eq!(replica.delivered().await, request);
    assert!(watch(&world, "alice", &request).await.is_ok());
}

#[tokio::test]
async fn replicas_without_the_capability_get_no_requests() {
    let world = world().await;
    let plain = Script { id: "r1", capabilities: Vec::new(), ..Default::default() };
    let mut plain = Replica::attach(&world, plain).await;
    let request = sealed('a', 1);
    submit(&world, &request).await;
    let mut able = Replica::attach(&world, Script::default()).await;
    assert_eq!(able.delivered().await, request);
    in_time("probes", plain.probed()).await;
    while let Ok(message) = plain.said.try_recv() {
        let deliver = matches!(message.body, Some(tunnel_protos::v1::broker_message::Body::Deliver(_)));
        assert!(!deliver, "delivered to a replica that does not take requests");
    }
}

#[tokio::test]
async fn only_the_submitter_may_watch_or_submit_again() {
    let world = world().await;
    let request = sealed('a', 1);
    submit(&world, &request).await;
    assert_eq!(watch(&world, "mallory", &request).await.err(), Some(Code::NotFound));
    let mut mallory = api(&world, &world.vendor.operator("mallory"));
    let again = mallory.submit(SubmitRequest { request: Some(request) }).await;
    assert_eq!(again.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test]
async fn an_outcome_that_comes_again_is_kept_once() {
    let world = world().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let request = sealed('a', 1);
    submit(&world, &request).await;
    replica.delivered().await;
    for n in [1, 1, 2] {
        replica.answer(outcome(&request, n)).await;
    }
    let mut events = watch(&world, "alice", &request).await.unwrap();
    next(&mut events).await;
    assert_eq!(next(&mut events).await, Event::Outcome(outcome(&request, 1)));
    assert_eq!(next(&mut events).await, Event::Outcome(outcome(&request, 2)));
}

#[tokio::test]
async fn endless_and_foreign_outcomes_are_taken_off_the_wire_and_not_kept() {
    let world = world().await;
    let mut owner = Replica::attach(&world, Script::default()).await;
    let foreign = Replica::attach(&world, Script { label: 'b', ..Default::default() }).await;
    let request = sealed('a', 1);
    submit(&world, &request).await;
    owner.delivered().await;
    for n in 0..20 {
        foreign.answer(outcome(&request, n)).await;
        owner.answer(outcome(&sealed('a', 77), n)).await;
    }
    owner.answer(outcome(&request, 99)).await;
    let mut events = watch(&world, "alice", &request).await.unwrap();
    next(&mut events).await;
    assert_eq!(next(&mut events).await, Event::Outcome(outcome(&request, 99)));
}

#[tokio::test]
async fn a_flood_of_outcomes_is_stored_as_fast_as_allowed_and_slows_nobody_else() {
    let slow = |config: &mut Config| config.limits.connections.mail_per_second = 2;
    let world = World::serving(&[("acme/prod", 'a'), ("globex/prod", 'b')], slow).await;
    served(&world, 2).await;
    let mut hostile = Replica::attach(&world, Script::default()).await;
    let mut honest = Replica::attach(&world, Script { label: 'b', ..Default::default() }).await;
    let (hot, cool) = (sealed('a', 1), sealed('b', 2));
    submit(&world, &hot).await;
    hostile.delivered().await;
    let began = Instant::now();
    let stored = AtomicU32::new(0);
    let flood = async {
        for n in 0..200 {
            hostile.answer(outcome(&hot, n)).await;
            stored.fetch_add(1, Ordering::Relaxed);
        }
    };
    let other = async {
        while stored.load(Ordering::Relaxed) < 22 {
            tokio::task::yield_now().await;
        }
        submit(&world, &cool).await;
        honest.delivered().await;
        honest.answer(outcome(&cool, 1)).await;
    };
    tokio::select! {
        () = flood => panic!("200 outcomes were stored within {:?}", began.elapsed()),
        () = other => {}
    }
    // Twenty at once, then two a second; one may have been under way.
    let allowed = 20 + 2 * began.elapsed().as_secs() as u32 + 2;
    assert!(stored.into_inner() <= allowed, "more than {allowed}");
}

#[tokio::test]
async fn an_operator_that_submits_too_fast_is_refused() {
    let world = world_with(|config| config.limits.operators.submits_per_minute = 2).await;
    submit(&world, &sealed('a', 1)).await;
    submit(&world, &sealed('a', 2)).await;
    let mut api = api(&world, &world.vendor.operator("alice"));
    let third = api.submit(SubmitRequest { request: Some(sealed('a', 3)) }).await;
    assert_eq!(third.unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn watches_have_a_bound_and_are_given_back() {
    let world = world_with(|config| config.limits.operators.watches = 1).await;
    let request = sealed('a', 1);
    submit(&world, &request).await;
    let first = watch(&world, "alice", &request).await.unwrap();
    assert_eq!(watch(&world, "alice", &request).await.err(), Some(Code::ResourceExhausted));
    drop(first);
    let again = async { while watch(&world, "alice", &request).await.is_err() {} };
    in_time("a free place", again).await;
}
