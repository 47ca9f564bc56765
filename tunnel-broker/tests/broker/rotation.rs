//! Renewal over the control stream, and the rotation of the mesh CA from its first phase to its last.

use std::{sync::Arc, time::Duration};

use tonic::{Code as Status, transport::Channel};
use tunnel_certs::{
    credential::Credential,
    identity::Role,
    key::{Algorithm, SealingKey, Signer, SigningKey},
    roots::Roots,
    statement::{ack::Acknowledgement, registration::Registration},
    verify::MeshVerifier,
};
use tunnel_protos::{
    operators::{
        GetRegistrationRequest, GetRotationRequest, PrepareMeshCaRequest, PublishEntryRequest,
        PublishTrustRequest, RotationStatus, SetPhaseRequest, administration_client::AdministrationClient,
        get_registration_request::Of,
    },
    v1::{
        Envelope, RenewCsr, ReplicaMessage, RotationPhase,
        broker_message::Body,
        replica_message::{self, Body as ToBroker},
    },
};
use tunnel_runtime::eventually::eventually;

use crate::{
    PATIENCE, World,
    operator::admin,
    replica::{Replica, Script},
    vendor::{label, now},
};

type Root = AdministrationClient<Channel>;

fn root(world: &World) -> Root {
    admin(world, &world.vendor.operator("root"))
}

fn p256() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(Algorithm::P256).unwrap())
}

fn ed25519() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}

/// A certificate by RenewCsr.
async fn renew(replica: &mut Replica, key: &Arc<SigningKey>) -> Credential {
    let csr = key.csr().unwrap();
    replica.tell(ToBroker::RenewCsr(RenewCsr { csr })).await;
    let message = replica.told().await;
    replica.sender.handled(message.id);
    let Some(Body::RenewedLeaf(leaf)) = message.body else { panic!("{message:?}") };
    assert_ne!(message.id, 0, "it must not be lost");
    Credential::new(vec![leaf.certificate.into()], Arc::clone(key)).unwrap()
}

fn acknowledgement(
    c: char,
    replica: &str,
    phase: RotationPhase,
    sequence: u64,
    key: &SigningKey,
) -> Envelope {
    let (label, replica) = (label(c), replica.parse().unwrap());
    Acknowledgement { label, replica, phase, sequence }.make(key).unwrap()
}

async fn enroll(root: &mut Root, world: &World, cluster: &str, c: char) -> SigningKey {
    let key = ed25519();
    let entry = Some(world.vendor.entry(cluster, label(c), 1, &key));
    root.publish_entry(PublishEntryRequest { entry }).await.unwrap();
    key
}

async fn status(root: &Root) -> RotationStatus {
    root.clone().get_rotation(GetRotationRequest::default()).await.unwrap().into_inner()
}

async fn enter(root: &mut Root, phase: RotationPhase) -> Result<RotationStatus, tonic::Status> {
    let ask = SetPhaseRequest { phase: phase.into() };
    root.set_phase(ask).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_certificate_is_renewed_over_the_control_stream() {
    let world = World::issuing(|_| {}).await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let key = p256();
    let renewed = renew(&mut replica, &key).await;
    let chain = std::slice::from_ref(renewed.certificate());
    let verified = world.vendor.verifier().verify(chain, Role::Replica, now()).unwrap();
    assert_eq!(verified.identity, world.vendor.replica(label('a'), "r0").identity().unwrap());
    let again = Script { credential: Some(renewed), ..Default::default() };
    let replacement = Replica::attach(&world, again).await;
    // The one before stays for its sessions; the replica ends it.
    assert_eq!((replica.tunnel.close_reason(), replacement.tunnel.close_reason()), (None, None));
}

#[tokio::test]
async fn a_replica_that_takes_no_requests_is_renewed_too() {
    let world = World::issuing(|_| {}).await;
    let script = Script { capabilities: Vec::new(), ..Default::default() };
    let mut replica = Replica::attach(&world, script).await;
    renew(&mut replica, &p256()).await;
}

#[tokio::test]
async fn renewals_have_a_rate_and_nonsense_is_acknowledged_and_dropped() {
    let world = World::issuing(|_| {}).await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    replica.tell(ToBroker::RenewCsr(RenewCsr { csr: vec![0; 300] })).await;
    replica.tell(ToBroker::RenewCsr(RenewCsr { csr: vec![0; 100_000] })).await;
    for _ in 0..3 {
        renew(&mut replica, &p256()).await;
    }
    // A flood without ids gets nothing, and the tunnel lives.
    let csr = p256().csr().unwrap();
    for _ in 0..50 {
        crate::replica::send(&replica.sender, ToBroker::RenewCsr(RenewCsr { csr: csr.clone() }));
    }
    crate::in_time("probes", replica.probed()).await;
    let mut leaves = 0;
    while let Ok(message) = replica.said.try_recv() {
        leaves += usize::from(matches!(message.body, Some(Body::RenewedLeaf(_))));
    }
    assert_eq!((leaves, replica.tunnel.close_reason()), (0, None));
}

#[tokio::test]
async fn an_acknowledgement_counts_only_for_its_own_replica_and_by_its_clusters_key() {
    let world = World::issuing(|_| {}).await;
    let mut root = root(&world);
    let (a, b) =
        (enroll(&mut root, &world, "acme/prod", 'a').await, enroll(&mut root, &world, "b/b", 'b').await);
    let victim = Replica::attach(&world, Script::default()).await;
    let mallory = Replica::attach(&world, Script { label: 'b', ..Default::default() }).await;
    let phase = RotationPhase::Init;
    let forged = [
        acknowledgement('a', "r0", phase, 1, &b),
        acknowledgement('a', "r0", phase, 1, &a),
        acknowledgement('b', "r9", phase, 1, &b),
        acknowledgement('b', "r0", phase, 1, &a),
    ];
    for envelope in forged {
        mallory.tell(ToBroker::RotationAck(envelope)).await;
    }
    victim.tell(ToBroker::RotationAck(acknowledgement('a', "r1", phase, 1, &a))).await;
    let kept =
        |status: &RotationStatus| status.replicas.iter().filter(|r| r.acknowledgement.is_some()).count();
    assert_eq!(kept(&status(&root).await), 0);
    let honest = acknowledgement('a', "r0", phase, 1, &a);
    victim.tell(ToBroker::RotationAck(honest.clone())).await;
    let seen = status(&root).await;
    let replica = seen.replicas.iter().find(|r| r.label == label('a').as_str()).unwrap();
    assert_eq!((replica.acknowledgement.as_ref(), replica.connected), (Some(&honest), true));
    assert_eq!(kept(&seen), 1);
}

#[tokio::test]
async fn what_cannot_be_checked_yet_is_repeated_until_it_can() {
    let world = World::issuing(|_| {}).await;
    let mut root = root(&world);
    let replica = Replica::attach(&world, Script::default()).await;
    let key = ed25519();
    let honest = acknowledgement('a', "r0", RotationPhase::Standby, 1, &key);
    let body = Some(ToBroker::RotationAck(honest.clone()));
    let acknowledged = replica.sender.keep(ReplicaMessage { id: 0, body }).unwrap();
    // Messages keep their order: once a later one is answered, this one was looked at.
    replica.tell(ToBroker::RenewCsr(RenewCsr { csr: vec![0; 300] })).await;
    let entry = Some(world.vendor.entry("acme/prod", label('a'), 1, &key));
    root.publish_entry(PublishEntryRequest { entry }).await.unwrap();
    crate::in_time("acknowledgement of the repeat", acknowledged).await.unwrap();
    assert_eq!(status(&root).await.replicas[0].acknowledgement, Some(honest));
}

#[tokio::test]
async fn new_keys_of_a_cluster_are_kept_for_the_administrator() {
    let world = World::issuing(|_| {}).await;
    let mut root = root(&world);
    let old = enroll(&mut root, &world, "acme/prod", 'a').await;
    let replica = Replica::attach(&world, Script::default()).await;
    let new = ed25519();
    let registration = Registration {
        label: label('a'),
        bundle_sha256: None,
        token: None,
        mesh_csr: p256().csr().unwrap(),
        cluster_key: new.public().clone(),
        sealing_key: *SealingKey::generate().unwrap().public(),
        jwks: Vec::new(),
        facts: Vec::new(),
    };
    // One that the cluster's key did not sign is not kept.
    let forged = registration.make_replacement(&new, &ed25519()).unwrap();
    replica.tell(ToBroker::Registration(forged)).await;
    let of = || GetRegistrationRequest { of: Some(Of::Label(label('a').to_string())) };
    assert_eq!(root.get_registration(of()).await.unwrap_err().code(), Status::NotFound);
    let honest = registration.make_replacement(&new, &old).unwrap();
    replica.tell(ToBroker::Registration(honest.clone())).await;
    let reply = root.get_registration(of()).await.unwrap().into_inner();
    assert_eq!((reply.registration, reply.token), (Some(honest), None));
}

#[tokio::test]
async fn the_mesh_ca_is_rotated_without_losing_a_tunnel() {
    let world = World::issuing(|_| {}).await;
    let mut root = root(&world);
    let cluster_key = enroll(&mut root, &world, "acme/prod", 'a').await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let old = world.vendor.mesh.certificate().clone();
    let before = enter(&mut root, RotationPhase::Init).await.unwrap_err();
    assert_eq!(before.code(), Status::FailedPrecondition, "{before}");
    let made = root.prepare_mesh_ca(PrepareMeshCaRequest {}).await.unwrap().into_inner().certificate;
    let new = rustls::pki_types::CertificateDer::from(made);
    enter(&mut root, RotationPhase::Init).await.unwrap_err();

    let trust = |sequence, cas: &[_]| {
        let roots = Roots::new(cas.to_vec()).unwrap();
        PublishTrustRequest {
            trust_bundle: Some(world.vendor.bundle(sequence, |bundle| bundle.mesh_roots = roots)),
        }
    };
    root.publish_trust(trust(2, &[old.clone(), new.clone()])).await.unwrap();
    let phases = [RotationPhase::Init, RotationPhase::UpdateReplicas, RotationPhase::UpdateBrokers];
    for phase in phases {
        assert_eq!(enter(&mut root, phase).await.unwrap().phase(), phase);
        let told = |body| if let Body::Rotation(rotation) = body { Some(rotation.phase()) } else { None };
        while replica.push_of(told).await != phase {}
        let envelope = acknowledgement('a', "r0", phase, 2, &cluster_key);
        replica.tell(replica_message::Body::RotationAck(envelope.clone())).await;
        assert_eq!(status(&root).await.replicas[0].acknowledgement.as_ref(), Some(&envelope));
    }

    // Replicas and the broker itself are certified by the new CA alone.
    let only_new = MeshVerifier::new(world.vendor.name.clone(), Roots::new(vec![new.clone()]).unwrap());
    let renewed = renew(&mut replica, &p256()).await;
    only_new.verify(std::slice::from_ref(renewed.certificate()), Role::Replica, now()).unwrap();
    let broker_is_new = || async {
        let der = status(&root).await.broker_certificate.into();
        only_new.verify(&[der], Role::Broker, now()).is_ok()
    };
    eventually("the broker's new certificate", PATIENCE, broker_is_new).await;
    let early = enter(&mut root, RotationPhase::Standby).await.unwrap_err();
    assert!(early.message().contains("without it"), "{early}");
    root.publish_trust(trust(3, std::slice::from_ref(&new))).await.unwrap();
    let done = enter(&mut root, RotationPhase::Standby).await.unwrap();
    assert_eq!((done.phase(), done.issuing, done.trust_sequence), (RotationPhase::Standby, new.to_vec(), 3));
    assert_eq!(replica.tunnel.close_reason(), None);
    let trusts_new_only = || async { tunnel_with(&world, &only_new, &renewed).await };
    eventually("a tunnel between new certificates", PATIENCE, trusts_new_only).await;
}

#[tokio::test]
async fn of_two_phases_at_once_the_second_is_checked_after_the_first() {
    let world = World::issuing(|_| {}).await;
    let mut root = root(&world);
    let made = root.prepare_mesh_ca(PrepareMeshCaRequest {}).await.unwrap().into_inner().certificate;
    let roots = Roots::new(vec![world.vendor.mesh.certificate().clone(), made.into()]).unwrap();
    let trust_bundle = Some(world.vendor.bundle(2, |bundle| bundle.mesh_roots = roots));
    root.publish_trust(PublishTrustRequest { trust_bundle }).await.unwrap();
    for turn in 0..8 {
        enter(&mut root, RotationPhase::Init).await.unwrap();
        let (mut one, mut other) = (root.clone(), root.clone());
        let (back, _) = tokio::join!(
            enter(&mut one, RotationPhase::Rollback),
            enter(&mut other, RotationPhase::UpdateReplicas)
        );
        back.unwrap();
        // Nothing but init leads on from a rollback, whichever of both came first.
        assert_eq!(status(&root).await.phase(), RotationPhase::Rollback, "turn {turn}");
    }
}

/// Whether a replica that trusts the new CA alone gets a tunnel.
async fn tunnel_with(world: &World, verifier: &MeshVerifier, credential: &Credential) -> bool {
    use tunnel_transport::{
        Limits,
        quic::{ALPN, ClientTls, Dial, dial},
    };
    let config = tunnel_certs::tls::mesh_client(credential, verifier.clone(), &[ALPN]).unwrap();
    let how = Dial {
        address: world.addresses.quic,
        server_name: "b0.tunnel.example".to_owned(),
        tls: ClientTls { config, verifier: verifier.clone() },
        limits: Limits::default(),
        deadline: Duration::from_secs(5),
    };
    match dial(&how).await {
        // In TLS 1.3 a refusal may come after the dial; the control stream shows that there is none.
        Ok(tunnel) => crate::in_time("control stream or end", tunnel.accept()).await.is_ok(),
        Err(_) => false,
    }
}
