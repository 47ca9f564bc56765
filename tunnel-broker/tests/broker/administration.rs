//! What administrators call: who may, bans, entries, and what the database brings back.

use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tonic::Code as Status;
use tunnel_certs::{
    key::{Algorithm, Signer, SigningKey},
    statement::inventory,
};
use tunnel_protos::{
    TokenId,
    operators::{
        BanRequest, CreateTokenRequest, GetClusterRequest, GetRegistrationRequest, GetRotationRequest,
        GetTrustRequest, ListReplicasRequest, ListTokensRequest, PrepareMeshCaRequest, PublishEntryRequest,
        PublishTrustRequest, RevokeTokenRequest, SetPhaseRequest, Token, TokenState,
    },
    v1::{Envelope, TokenKind, broker_message::Body},
};
use tunnel_runtime::eventually::eventually;
use tunnel_transport::Code;

use crate::{
    PATIENCE, World, in_time,
    operator::{admin, api},
    replica::{Replica, Script, refusal},
    vendor::{label, now},
};

fn ed25519() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}

fn ban(c: char, replica: &str) -> BanRequest {
    BanRequest { label: label(c).to_string(), replica: replica.to_owned(), reason: "stolen".to_owned() }
}

fn entry(envelope: &Envelope) -> PublishEntryRequest {
    PublishEntryRequest { entry: Some(envelope.clone()) }
}

#[tokio::test]
async fn nobody_but_administrators_is_served_and_they_are_told_why() {
    let world = World::start().await;
    let mut alice = admin(&world, &world.vendor.operator("alice"));
    let refused = [
        alice.create_token(CreateTokenRequest::default()).await.map(drop),
        alice.list_tokens(ListTokensRequest {}).await.map(drop),
        alice.revoke_token(RevokeTokenRequest::default()).await.map(drop),
        alice.get_registration(GetRegistrationRequest::default()).await.map(drop),
        alice.publish_entry(PublishEntryRequest::default()).await.map(drop),
        alice.list_replicas(ListReplicasRequest::default()).await.map(drop),
        alice.ban(ban('a', "")).await.map(drop),
        alice.unban(ban('a', "")).await.map(drop),
        alice.get_trust(GetTrustRequest {}).await.map(drop),
        alice.publish_trust(PublishTrustRequest::default()).await.map(drop),
        alice.prepare_mesh_ca(PrepareMeshCaRequest {}).await.map(drop),
        alice.set_phase(SetPhaseRequest::default()).await.map(drop),
        alice.get_rotation(GetRotationRequest::default()).await.map(drop),
    ];
    for (call, result) in refused.into_iter().enumerate() {
        let status = result.unwrap_err();
        assert_eq!(status.code(), Status::PermissionDenied, "call {call}");
        assert!(
            status.message().contains("alice") && status.message().contains("`administrators`"),
            "{status}"
        );
    }
    let mut root = admin(&world, &world.vendor.operator("root"));
    root.get_trust(GetTrustRequest {}).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_or_malformed_is_said() {
    let world = World::start().await;
    let mut root = admin(&world, &world.vendor.operator("root"));
    let statuses = [
        root.publish_entry(PublishEntryRequest { entry: None }).await.unwrap_err(),
        root.publish_trust(PublishTrustRequest { trust_bundle: None }).await.unwrap_err(),
        root.ban(BanRequest { label: "acme/prod".to_owned(), ..ban('a', "") }).await.unwrap_err(),
        root.ban(BanRequest { replica: "../r0".to_owned(), ..ban('a', "") }).await.unwrap_err(),
        root.ban(BanRequest { reason: "two\nlines".to_owned(), ..ban('a', "") }).await.unwrap_err(),
        root.get_registration(GetRegistrationRequest { of: None }).await.unwrap_err(),
    ];
    for status in statuses {
        assert_eq!(status.code(), Status::InvalidArgument, "{status}");
    }
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let world = World::issuing(|_| {}).await;
    let mut root = admin(&world, &world.vendor.operator("root"));
    let token = Token {
        id: TokenId::from_random([7; 16]).to_string(),
        kind: TokenKind::Cluster.into(),
        cluster: "acme/prod".to_owned(),
        label: label('a').to_string(),
        expires_ms: now().plus(Duration::from_secs(3600)).0,
        ..Default::default()
    };
    let ask = CreateTokenRequest { token: Some(token.clone()), broker_secret_sha256: vec![1; 32] };
    let made = root.create_token(ask).await.unwrap().into_inner();
    assert_eq!((made.created_by.as_str(), made.state()), ("root", TokenState::Open));
    let listed = root.list_tokens(ListTokensRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.tokens, [made]);
    let revoked = root.revoke_token(RevokeTokenRequest { token_id: token.id }).await.unwrap().into_inner();
    assert_eq!(revoked.state(), TokenState::Revoked);
    let unknown = RevokeTokenRequest { token_id: TokenId::from_random([8; 16]).to_string() };
    assert_eq!(root.revoke_token(unknown).await.unwrap_err().code(), Status::NotFound);
}

#[tokio::test]
async fn a_ban_ends_tunnels_within_a_second_and_lets_nobody_back_in() {
    let mut world = World::start().await;
    let banned = Replica::attach(&world, Script::default()).await;
    let sibling = Replica::attach(&world, Script { id: "r1", ..Default::default() }).await;
    let other = Replica::attach(&world, Script { label: 'b', ..Default::default() }).await;
    let mut root = admin(&world, &world.vendor.operator("root"));
    let began = Instant::now();
    let closed = root.ban(ban('a', "r0")).await.unwrap().into_inner().closed;
    assert_eq!((closed, banned.closed().await), (1, Code::Banned));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(refusal(&world, Script::default()).await, Code::Banned);
    assert_eq!((sibling.tunnel.close_reason(), other.tunnel.close_reason()), (None, None));
    // A ban is for good.
    world.restart().await;
    assert_eq!(refusal(&world, Script::default()).await, Code::Banned);
    let mut root = admin(&world, &world.vendor.operator("root"));
    root.unban(ban('a', "r0")).await.unwrap();
    assert_eq!(Replica::attach(&world, Script::default()).await.tunnel.close_reason(), None);
}

#[tokio::test]
async fn a_ban_of_a_cluster_is_one_of_all_its_replicas() {
    let world = World::start().await;
    let replicas = [
        Replica::attach(&world, Script::default()).await,
        Replica::attach(&world, Script { id: "r1", ..Default::default() }).await,
    ];
    let mut root = admin(&world, &world.vendor.operator("root"));
    assert_eq!(root.ban(ban('a', "")).await.unwrap().into_inner().closed, 2);
    for replica in &replicas {
        assert_eq!(replica.closed().await, Code::Banned);
    }
    let never_seen = Script { id: "r9", ..Default::default() };
    assert_eq!(refusal(&world, never_seen).await, Code::Banned);
}

#[tokio::test]
async fn replicas_are_listed_with_who_is_connected() {
    let world = World::start().await;
    let _there = Replica::attach(&world, Script::default()).await;
    let gone = Replica::attach(&world, Script { id: "r1", ..Default::default() }).await;
    gone.tunnel.close(Code::Done);
    let mut root = admin(&world, &world.vendor.operator("root"));
    root.ban(ban('a', "r1")).await.unwrap();
    let list = || async {
        let ask = ListReplicasRequest { label: label('a').to_string(), ..Default::default() };
        let all = root.clone().list_replicas(ask).await.unwrap().into_inner().replicas;
        assert!(all.iter().all(|replica| replica.last_seen_ms > 0 && replica.not_after_ms > now().0));
        let seen: Vec<_> = all.iter().map(|r| (r.id.as_str(), r.connected, r.banned)).collect();
        seen == [("r0", true, false), ("r1", false, true)]
    };
    eventually("both replicas", PATIENCE, list).await;
}

#[tokio::test]
async fn a_published_entry_reaches_operators_and_the_clusters_tunnels() {
    let mut world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let mut other = Replica::attach(&world, Script { label: 'b', ..Default::default() }).await;
    let (key, vendor) = (ed25519(), &world.vendor);
    let mut root = admin(&world, &vendor.operator("root"));
    let first = vendor.entry("acme/prod", label('a'), 3, &key);
    assert_eq!(root.publish_entry(entry(&first)).await.unwrap().into_inner().tunnels, 1);
    let pushed = |body| if let Body::InventoryEntry(entry) = body { Some(entry) } else { None };
    assert_eq!(replica.push_of(pushed).await, first);
    let shown = api(&world, &vendor.operator("alice"))
        .get_cluster(GetClusterRequest { cluster: "acme/prod".to_owned() })
        .await;
    assert_eq!(shown.unwrap().into_inner().entry, Some(first.clone()));
    // Again is nothing new; older, or another of the same sequence, is refused.
    root.publish_entry(entry(&first)).await.unwrap();
    for refused in
        [vendor.entry("acme/prod", label('a'), 2, &key), vendor.entry("acme/prod", label('a'), 3, &key)]
    {
        assert_eq!(root.publish_entry(entry(&refused)).await.unwrap_err().code(), Status::FailedPrecondition);
    }
    let theft =
        root.publish_entry(entry(&vendor.entry("globex/prod", label('a'), 9, &key))).await.unwrap_err();
    assert!(theft.message().contains("acme/prod"), "{theft}");
    // Who attaches later has it, too; nobody else does, and what was pushed in between is the next one only.
    let second = vendor.entry("acme/prod", label('a'), 4, &key);
    root.publish_entry(entry(&second)).await.unwrap();
    assert_eq!(replica.push_of(pushed).await, second);
    world.restart().await;
    let mut again = Replica::attach(&world, Script { epoch: 2, ..Default::default() }).await;
    assert_eq!(again.push_of(pushed).await, second);
    while let Ok(message) = other.pushed.try_recv() {
        assert!(!matches!(message.body, Some(Body::InventoryEntry(_))), "{message:?}");
    }
}

#[tokio::test]
async fn an_entry_that_no_vendor_key_signed_is_refused() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mallory = crate::vendor::Vendor::create(folder.path());
    let forged = mallory.entry("acme/prod", label('a'), 1, &ed25519());
    let mut root = admin(&world, &world.vendor.operator("root"));
    let refused = root.publish_entry(entry(&forged)).await.unwrap_err();
    assert_eq!(refused.code(), Status::FailedPrecondition);
}

#[tokio::test]
async fn of_folder_and_database_the_higher_sequence_counts() {
    let mut world = World::start().await;
    let key = ed25519();
    let mut root = admin(&world, &world.vendor.operator("root"));
    root.publish_entry(entry(&world.vendor.entry("acme/prod", label('a'), 2, &key))).await.unwrap();
    put(&world, 1, &key);
    world.restart().await;
    assert_eq!(sequence(&world).await, 2);
    // As with a database that was restored from an older backup.
    put(&world, 5, &key);
    world.restart().await;
    assert_eq!(sequence(&world).await, 5);
}

/// The sequence of the entry that operators see.
async fn sequence(world: &World) -> u64 {
    let mut api = api(world, &world.vendor.operator("alice"));
    let ask = GetClusterRequest { cluster: "acme/prod".to_owned() };
    let entry = api.get_cluster(ask).await.unwrap().into_inner().entry.unwrap();
    let keys = [world.vendor.key.public().clone()];
    inventory::open(&entry.encode_to_vec(), &keys, now()).unwrap().entry.sequence
}

fn put(world: &World, sequence: u64, key: &SigningKey) {
    let envelope = world.vendor.entry("acme/prod", label('a'), sequence, key);
    world.vendor.write("entries/acme.pb", &envelope.encode_to_vec());
}

#[tokio::test]
async fn a_push_is_repeated_until_it_is_acknowledged() {
    let world = World::start().await;
    let script = Script { acknowledges_pushes: false, ..Default::default() };
    let mut replica = Replica::attach(&world, script).await;
    let first = in_time("push", replica.pushed.recv()).await.unwrap();
    let again = in_time("repeat", replica.pushed.recv()).await.unwrap();
    assert!(first.id != 0 && matches!(first.body, Some(Body::TrustBundle(_))));
    assert_eq!(first, again);
    replica.sender.handled(first.id);
    // Only then does the next come.
    let next = async {
        loop {
            let next = replica.pushed.recv().await.unwrap();
            if next.id != first.id {
                return next;
            }
        }
    };
    assert!(matches!(in_time("next push", next).await.body, Some(Body::Rotation(_))));
}
