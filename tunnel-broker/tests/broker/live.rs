//! Trust, certificates and files that are replaced while tunnels, sessions and API connections go on.

use std::{sync::atomic::Ordering, time::Duration};

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code as Status;
use tunnel_certs::{
    credential::Credential,
    issue::{Authority, CaKind},
    key::{Algorithm, Signer, SigningKey},
    statement::trust_bundle::TrustBundle,
};
use tunnel_protos::{
    operators::{GetTrustRequest, PublishTrustRequest, WhoAmIRequest},
    v1::{Envelope, broker_message::Body},
};
use tunnel_runtime::eventually::eventually;

use crate::{
    PATIENCE, World, in_time,
    operator::{admin, counted_api, handshake, host, knock},
    replica::{Replica, Script, connect, door},
    vendor::{Vendor, authority, label, now, roots},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn publish(envelope: &Envelope) -> PublishTrustRequest {
    PublishTrustRequest { trust_bundle: Some(envelope.clone()) }
}

fn sequence(envelope: &Envelope) -> u64 {
    tunnel_protos::v1::TrustBundle::decode(&envelope.payload[..]).unwrap().sequence
}

fn pushed_trust(body: Body) -> Option<Envelope> {
    if let Body::TrustBundle(envelope) = body { Some(envelope) } else { None }
}

/// The sequence of the trust bundle in force.
async fn in_force(world: &World) -> u64 {
    let mut root = admin(world, &world.vendor.operator("root"));
    sequence(&root.get_trust(GetTrustRequest {}).await.unwrap().into_inner().trust_bundle.unwrap())
}

/// A replica certified by another mesh CA.
fn replica_of(mesh: &Authority, vendor: &Vendor) -> Credential {
    let key = std::sync::Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    let id = "r7".parse().unwrap();
    let issued = mesh.issue_replica(key.public(), &vendor.name, &label('a'), &id, DAY, now());
    Credential::new(vec![issued.unwrap()], key).unwrap()
}

#[tokio::test]
async fn a_new_trust_bundle_drops_nothing_and_counts_for_who_comes_next() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    assert_eq!(sequence(&replica.push_of(pushed_trust).await), 1);
    let (mut operator, hello) = knock(&world, &host('a', door(1))).await;
    let offer = in_time("session", replica.offers.recv()).await.unwrap();
    let mut gate = offer.accept(Duration::from_secs(5)).await.unwrap();
    gate.read_exact(&mut vec![0; hello.len()]).await.unwrap();
    let (mut alice, connections) = counted_api(&world, &world.vendor.operator("alice"));
    alice.who_am_i(WhoAmIRequest {}).await.unwrap();

    let mesh = authority(CaKind::Mesh);
    let newcomer =
        || Script { id: "r7", credential: Some(replica_of(&mesh, &world.vendor)), ..Default::default() };
    assert!(is_refused(&world, newcomer()).await);
    let next = world.vendor.bundle(2, |bundle| bundle.mesh_roots = roots(&[&world.vendor.mesh, &mesh]));
    let mut root = admin(&world, &world.vendor.operator("root"));
    let reply = root.publish_trust(publish(&next)).await.unwrap().into_inner();
    assert_eq!(reply.trust_bundle, Some(next.clone()));

    assert_eq!(replica.push_of(pushed_trust).await, next);
    let let_in = || async { !is_refused(&world, newcomer()).await };
    eventually("a replica of the new CA", PATIENCE, let_in).await;
    gate.write_all(b"still here").await.unwrap();
    let mut said = [0; 10];
    in_time("session", operator.read_exact(&mut said)).await.unwrap();
    assert_eq!((&said, replica.tunnel.close_reason()), (b"still here", None));
    alice.who_am_i(WhoAmIRequest {}).await.unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

/// Whether a replica gets no control stream; in TLS 1.3 the dial may be done before the refusal comes.
async fn is_refused(world: &World, script: Script) -> bool {
    match connect(world, &script).await {
        Ok(tunnel) => in_time("control stream or end", tunnel.accept()).await.is_err(),
        Err(_) => true,
    }
}

#[tokio::test]
async fn only_a_vendor_key_of_the_bundle_in_force_replaces_it() {
    let world = World::start().await;
    let mut root = admin(&world, &world.vendor.operator("root"));
    let (vendor, mallory) = (&world.vendor, SigningKey::generate(Algorithm::Ed25519).unwrap());
    let bundle = |change: &dyn Fn(&mut TrustBundle)| vendor.bundle(2, change);
    let forged = {
        let mut copy = None;
        vendor.bundle(2, |bundle| copy = Some(bundle.clone()));
        copy.unwrap().make(&mallory).unwrap()
    };
    let other_mesh = authority(CaKind::Mesh);
    let refused = [
        forged,
        vendor.bundle(1, |bundle| bundle.broker_addresses.clear()),
        vendor.bundle(0, |_| {}),
        bundle(&|bundle| bundle.vendor = "other".parse().unwrap()),
        bundle(&|bundle| bundle.suffix = "elsewhere.example".parse().unwrap()),
        bundle(&|bundle| bundle.expires = now().minus(DAY)),
        // Replicas that know this one alone would find no broker here.
        bundle(&|bundle| bundle.mesh_roots = roots(&[&other_mesh])),
    ];
    for envelope in refused {
        let status = root.publish_trust(publish(&envelope)).await.unwrap_err();
        assert_eq!(status.code(), Status::FailedPrecondition, "{status}");
    }
    assert_eq!(in_force(&world).await, 1);
    root.publish_trust(publish(&world.vendor.bundle(1, |_| {}))).await.unwrap_err();
}

#[tokio::test]
async fn operators_whose_root_was_removed_are_cut_off() {
    let world = World::start().await;
    let (vendor, new) = (&world.vendor, authority(CaKind::Operator));
    let both = vendor.bundle(2, |bundle| bundle.operator_roots = roots(&[&vendor.operators, &new]));
    let mut old_root = admin(&world, &vendor.operator("root"));
    old_root.publish_trust(publish(&both)).await.unwrap();
    let key = std::sync::Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    let name = "root".parse().unwrap();
    let issued = new.issue_operator(key.public(), &vendor.name, &name, DAY / 4, now()).unwrap();
    let credential = Credential::new(vec![issued], key).unwrap();
    let let_in = || async { handshake(&world, &credential).await.is_ok() };
    eventually("an operator of the new CA", PATIENCE, let_in).await;
    let mut old = handshake(&world, &vendor.operator("alice")).await.unwrap();
    let mut root = admin(&world, &credential);
    let alone = vendor.bundle(3, |bundle| bundle.operator_roots = roots(&[&new]));
    root.publish_trust(publish(&alone)).await.unwrap();
    // An end in good order or a reset: nothing more is served either way.
    drop(in_time("end of the old connection", old.read_to_end(&mut Vec::new())).await);
    assert!(handshake(&world, &vendor.operator("alice")).await.is_err());
    root.get_trust(GetTrustRequest {}).await.unwrap();
}

/// Replaces the broker's own certificate, and waits until it is shown.
async fn replace_mesh(world: &World, life: Duration) {
    let key = std::sync::Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    let id = "b0".parse().unwrap();
    let issued = world.vendor.mesh.issue_broker(key.public(), &world.vendor.name, &id, life, now()).unwrap();
    let credential = Credential::new(vec![issued], key).unwrap();
    world.vendor.write_credential("broker", &credential);
    let until = credential.validity().1;
    let shown = || async {
        let script = Script { id: "r1", ..Default::default() };
        Replica::open(world, script).await.unwrap().tunnel.peer_not_after() == until
    };
    eventually("the new mesh certificate", PATIENCE, shown).await;
}

/// Puts the next trust bundle into the configured file, and waits until it is in force.
async fn replace_bundle(world: &World, next: u64) {
    world.vendor.write("bundle.pb", &world.vendor.bundle(next, |_| {}).encode_to_vec());
    eventually("the next file", PATIENCE, || async { in_force(world).await == next }).await;
}

/// Bad files are never told of, so that a good one beside them is replaced twice: the second time was another look,
/// and the look before it was over by then.
#[tokio::test]
async fn the_configured_files_are_followed_and_bad_ones_change_nothing() {
    let world = World::start().await;
    replace_bundle(&world, 2).await;
    let mallory = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let mut forged = None;
    world.vendor.bundle(9, |bundle| forged = Some(bundle.clone()));
    world.vendor.write("bundle.pb", &forged.unwrap().make(&mallory).unwrap().encode_to_vec());
    world.vendor.write("api.pem", b"nonsense");
    for days in [2, 3] {
        replace_mesh(&world, DAY * days).await;
    }
    assert_eq!(in_force(&world).await, 2);
    world.vendor.write("broker.pem", b"nonsense");
    for next in [3, 4] {
        replace_bundle(&world, next).await;
    }
    let replica = Replica::attach(&world, Script::default()).await;
    assert_eq!(replica.tunnel.close_reason(), None);
}

#[tokio::test]
async fn certificates_are_replaced_while_tunnels_go_on() {
    let world = World::start().await;
    let old = Replica::attach(&world, Script::default()).await;
    replace_mesh(&world, DAY * 2).await;
    assert_eq!(old.tunnel.close_reason(), None);

    let api = tunnel_certs::issue::self_signed_api_server(&world.vendor.suffix, &[], DAY, now()).unwrap();
    let alice = world.vendor.operator("alice");
    let mut held = handshake(&world, &alice).await.unwrap();
    world.vendor.write_credential("api", &api);
    let old_pin_fails = || async { handshake(&world, &alice).await.is_err() };
    eventually("the new API certificate", PATIENCE, old_pin_fails).await;
    // HTTP/2 servers speak first: what is left of that comes, and no end.
    let mut rest = [0; 4];
    in_time("the old connection", held.read_exact(&mut rest)).await.unwrap();
}

/// Stops the broker in good order, so that its database is closed.
async fn stop(world: &mut World) {
    in_time("drain", world.running.take().unwrap().drain(Duration::from_secs(5))).await;
}

#[tokio::test]
async fn of_file_and_database_the_higher_sequence_counts() {
    let mut world = World::start().await;
    let mut root = admin(&world, &world.vendor.operator("root"));
    root.publish_trust(publish(&world.vendor.bundle(2, |_| {}))).await.unwrap();
    let backup = world.state_dir().join("backup.sqlite");
    world.restart().await;
    assert_eq!(in_force(&world).await, 2);
    stop(&mut world).await;
    let database = world.state_dir().join("broker.sqlite");
    std::fs::copy(&database, &backup).unwrap();
    world.restart().await;
    let mut root = admin(&world, &world.vendor.operator("root"));
    root.publish_trust(publish(&world.vendor.bundle(4, |_| {}))).await.unwrap();
    // The database comes back from its backup; the file is newer than that.
    world.vendor.write("bundle.pb", &world.vendor.bundle(3, |_| {}).encode_to_vec());
    stop(&mut world).await;
    for leftover in ["broker.sqlite-wal", "broker.sqlite-shm"] {
        let _ = std::fs::remove_file(world.state_dir().join(leftover));
    }
    std::fs::copy(&backup, &database).unwrap();
    world.restart().await;
    assert_eq!(in_force(&world).await, 3);
    // Replicas hold 4 already: they are told what is in force here, and keep theirs.
    let mut replica = Replica::attach(&world, Script::default()).await;
    assert_eq!(sequence(&replica.push_of(pushed_trust).await), 3);
}

#[tokio::test]
async fn a_file_that_expired_matters_no_more_once_a_newer_one_was_published() {
    let mut world = World::start().await;
    let mut root = admin(&world, &world.vendor.operator("root"));
    // With a vendor key that the configuration does not know.
    let second = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let keys = vec![world.vendor.key.public().clone(), second.public().clone()];
    root.publish_trust(publish(&world.vendor.bundle(2, |bundle| bundle.vendor_keys = keys))).await.unwrap();
    let mut third = None;
    world.vendor.bundle(3, |bundle| {
        bundle.vendor_keys = vec![second.public().clone()];
        third = Some(bundle.clone());
    });
    root.publish_trust(publish(&third.unwrap().make(&second).unwrap())).await.unwrap();
    world.vendor.write("bundle.pb", b"what was there expired");
    world.restart().await;
    assert_eq!(in_force(&world).await, 3);
}
