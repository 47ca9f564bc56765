//! The operators' API: who is let in, and what each sees.

use tonic::Code;
use tunnel_broker::config::{Config, OperatorConfig};
use tunnel_protos::operators::{
    GetClusterRequest, ListClustersRequest, SubmitRequest, WatchRequestRequest, WhoAmIRequest,
};
use tunnel_runtime::eventually::eventually;

use crate::{
    PATIENCE, World,
    mailbox::sealed,
    operator::{api, handshake},
    replica::{Replica, Script},
    vendor::label,
};

/// Waits until `count` entries are served.
pub(crate) async fn served(world: &World, count: usize) {
    let api = api(world, &world.vendor.operator("alice"));
    let ask = || async {
        let all = api.clone().list_clusters(ListClustersRequest::default()).await.unwrap();
        all.into_inner().clusters.len() == count
    };
    eventually("entries", PATIENCE, ask).await;
}

#[tokio::test]
async fn an_operator_learns_who_it_is() {
    let world = World::start().await;
    let mut api = api(&world, &world.vendor.operator("alice"));
    let reply = api.who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!((reply.operator.as_str(), reply.broker_id.as_str()), ("alice", "b0"));
    assert_eq!(reply.suffix, "tunnel.example");
}

#[tokio::test]
async fn only_operator_identities_are_let_in() {
    let world = World::start().await;
    let vendor = &world.vendor;
    handshake(&world, &vendor.operator("alice")).await.unwrap();
    let others =
        [vendor.grant(label('a')), vendor.broker(), vendor.replica(label('a'), "r0"), vendor.api.clone()];
    for credential in others {
        assert!(handshake(&world, &credential).await.is_err(), "{credential:?}");
    }
}

#[tokio::test]
async fn clusters_are_listed_in_pages_with_what_the_broker_knows() {
    let clusters = [("acme/prod", 'a'), ("acme/test", 'b'), ("globex/prod", 'c')];
    let world = World::serving(&clusters, |_| {}).await;
    served(&world, 3).await;
    let _replica = Replica::attach(&world, Script::default()).await;
    let mut api = api(&world, &world.vendor.operator("alice"));
    let page = ListClustersRequest { page_size: 2, page_token: String::new() };
    let page = api.list_clusters(page).await.unwrap().into_inner();
    assert_eq!(page.clusters.iter().map(|c| c.tunnels).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(page.clusters[0].targets[0].target, "default");
    assert!(page.clusters[0].last_seen_ms > 0 && page.clusters[1].last_seen_ms == 0);
    let rest = ListClustersRequest { page_size: 2, page_token: page.next_page_token };
    let rest = api.list_clusters(rest).await.unwrap().into_inner();
    assert_eq!((rest.clusters[0].cluster.as_str(), rest.next_page_token.as_str()), ("globex/prod", ""));
}

#[tokio::test]
async fn clusters_that_are_not_an_operators_look_like_none() {
    let only = OperatorConfig { clusters: vec!["globex/*".parse().unwrap()] };
    let change = |config: &mut Config| drop(config.operators.insert("bob".to_owned(), only));
    let world = World::serving(&[("acme/prod", 'a')], change).await;
    served(&world, 1).await;
    let mut api = api(&world, &world.vendor.operator("bob"));
    let all = api.list_clusters(ListClustersRequest::default()).await.unwrap().into_inner();
    assert!(all.clusters.is_empty());
    let one = api.get_cluster(GetClusterRequest { cluster: "acme/prod".to_owned() }).await;
    assert_eq!(one.unwrap_err().code(), Code::NotFound);
    let submitted = api.submit(SubmitRequest { request: Some(sealed('a', 1)) }).await;
    assert_eq!(submitted.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn entries_that_the_vendor_did_not_sign_are_not_served() {
    let world = World::start().await;
    let mallory = tempfile::tempdir().unwrap();
    let mallory_vendor = crate::vendor::Vendor::create(mallory.path());
    mallory_vendor.publish("acme/fake", label('z'));
    let forged = std::fs::read(mallory.path().join("entries/acme-fake.pb")).unwrap();
    world.vendor.write("entries/acme-fake.pb", &forged);
    world.vendor.write("entries/broken.pb", b"nonsense");
    world.vendor.publish("acme/prod", label('a'));
    served(&world, 1).await;
}

#[tokio::test]
async fn malformed_calls_are_refused() {
    let world = World::start().await;
    let mut api = api(&world, &world.vendor.operator("alice"));
    let id = api.watch_request(WatchRequestRequest { envelope_id: vec![1; 31] }).await;
    assert_eq!(id.unwrap_err().code(), Code::InvalidArgument);
    let none = api.submit(SubmitRequest { request: None }).await;
    assert_eq!(none.unwrap_err().code(), Code::InvalidArgument);
    let mut huge = sealed('a', 1);
    huge.ciphertext = vec![0; 100_000].into();
    let huge = api.submit(SubmitRequest { request: Some(huge) }).await;
    assert_eq!(huge.unwrap_err().code(), Code::OutOfRange);
    let name = api.get_cluster(GetClusterRequest { cluster: "acme".to_owned() }).await;
    assert_eq!(name.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn one_operators_connections_leave_room_for_the_others() {
    let world = World::start_with(|config| config.limits.operators.connections_per_operator = 2).await;
    let alice = world.vendor.operator("alice");
    let held = (handshake(&world, &alice).await.unwrap(), handshake(&world, &alice).await.unwrap());
    assert!(handshake(&world, &alice).await.is_err());
    handshake(&world, &world.vendor.operator("bob")).await.unwrap();
    drop(held);
    let again = || async { handshake(&world, &alice).await.is_ok() };
    eventually("a free connection", PATIENCE, again).await;
}

#[tokio::test]
async fn one_operators_requests_leave_room_for_the_others() {
    let one = |config: &mut Config| config.limits.operators.requests_per_operator = 1;
    let world = World::serving(&[("acme/prod", 'a')], one).await;
    served(&world, 1).await;
    let mut alice = api(&world, &world.vendor.operator("alice"));
    let request = SubmitRequest { request: Some(sealed('a', 1)) };
    let envelope_id = alice.submit(request).await.unwrap().into_inner().envelope_id;
    let watch = alice.watch_request(WatchRequestRequest { envelope_id }).await.unwrap();
    // Over another connection, too: the share is the operator's.
    for mut more in [alice, api(&world, &world.vendor.operator("alice"))] {
        assert_eq!(more.who_am_i(WhoAmIRequest {}).await.unwrap_err().code(), Code::ResourceExhausted);
    }
    api(&world, &world.vendor.operator("bob")).who_am_i(WhoAmIRequest {}).await.unwrap();
    drop(watch);
}
