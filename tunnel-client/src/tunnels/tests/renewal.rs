//! Certificates that end, and tunnels that are replaced before: what an honest broker sees, and what a hostile one gets.

use std::{slice, time::Duration};

use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};
use tunnel_certs::{csr, issue::CaKind, statement::trust_bundle::TrustBundle};
use tunnel_protos::v1::{
    BrokerMessage, Envelope, Probe, RenewedLeaf, Rotation, RotationAcknowledgement, RotationPhase,
    broker_message::Body as FromBroker, replica_message::Body as ToBroker,
};
use tunnel_runtime::eventually::eventually;
use tunnel_transport::{Header, Kind, control::ControlSender};

use super::{
    PATIENCE,
    broker::{self, Attached, Broker},
    door,
    world::World,
};
use crate::{
    clock,
    requests::Admission,
    trust::{
        Fingerprint,
        testing::{HOUR, Stage, ca, roots},
    },
};

type Sender = ControlSender<BrokerMessage>;

/// Longer than the life of the certificates here.
const LONG: Duration = Duration::from_secs(20);

fn leaf(certificate: &[u8]) -> FromBroker {
    FromBroker::RenewedLeaf(RenewedLeaf { certificate: certificate.to_vec() })
}

fn rotation(phase: RotationPhase) -> FromBroker {
    FromBroker::Rotation(Rotation { phase: phase.into() })
}

fn envelope(bytes: &[u8]) -> Envelope {
    Envelope::decode(bytes).unwrap()
}

impl Attached {
    /// Does what makes a replica believe that sessions come over this tunnel.
    async fn route(&mut self) {
        self.probed().await;
        self.doors().await;
    }

    async fn csr(&mut self) -> Vec<u8> {
        let asked =
            self.next(|body| if let ToBroker::RenewCsr(asked) = body { Some(asked.csr) } else { None });
        timeout(LONG, asked).await.unwrap()
    }

    async fn rotation_ack(&mut self) -> (RotationPhase, u64) {
        let pick = |body| if let ToBroker::RotationAck(envelope) = body { Some(envelope) } else { None };
        let envelope = timeout(LONG, self.next(pick)).await.unwrap();
        let said = RotationAcknowledgement::decode(&envelope.payload[..]).unwrap();
        (said.phase(), said.sequence)
    }

    /// A round trip through the replica's loop.
    async fn probed(&mut self) {
        self.send(FromBroker::Probe(Probe { nonce: vec![1; 16] }));
        self.next(|body| matches!(body, ToBroker::ProbeReply(_)).then_some(())).await;
    }
}

/// Probes each of these as brokers do, until `wanted` comes.
async fn while_probing<T>(tunnels: &[Sender], wanted: impl Future<Output = T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    let mut wanted = std::pin::pin!(wanted);
    let waited = async {
        loop {
            tokio::select! {
                done = &mut wanted => return done,
                _ = ticks.tick() => {
                    let probe = broker::message(FromBroker::Probe(Probe { nonce: vec![2; 16] }));
                    // Any of them may have gone.
                    tunnels.iter().for_each(|tunnel| tunnel.send(&probe).unwrap_or_default());
                }
            }
        }
    };
    timeout(LONG, waited).await.unwrap()
}

#[tokio::test]
async fn a_certificate_is_renewed_under_a_session_that_never_drops() {
    let mut broker = Broker::start();
    let stage = Stage::with(broker.mesh.clone());
    stage.write_leaf(&stage.due_leaf());
    let world = World::on(&broker, stage);
    world.grant(door(1));
    let mut first = broker.attach().await;
    let header = Header::new(Kind::Session { door: door(1) });
    let mut session = first.tunnel.open(&header, PATIENCE).await.unwrap();
    session.write_all(b"before").await.unwrap();
    let probed = [first.sender.clone()];
    let replaced = async {
        let asked = first.csr().await;
        assert_eq!(csr::public_key(&asked).unwrap(), *tunnel_certs::key::Signer::public(&*world.stage.key));
        // What is not ours is refused, and the right one is still taken.
        first.send(leaf(&world.stage.leaf(&ca(CaKind::Mesh), HOUR)));
        first.send(leaf(&world.stage.leaf(&broker.mesh, HOUR)));
        let mut second = broker.attach().await;
        second.route().await;
        first.next(|body| matches!(body, ToBroker::Draining(_)).then_some(())).await;
        second
    };
    let second = while_probing(&probed, replaced).await;
    assert_eq!(world.status()[0].state, "attached", "the new one is shown");
    let mut later = second.tunnel.open(&header, PATIENCE).await.unwrap();
    later.write_all(b"after").await.unwrap();
    later.shutdown().await.unwrap();
    let mut back = Vec::new();
    later.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"after");
    session.write_all(b" and still").await.unwrap();
    session.shutdown().await.unwrap();
    let mut back = Vec::new();
    session.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"before and still");
    timeout(LONG, first.tunnel.closed()).await.unwrap();
}

#[tokio::test]
async fn a_tunnel_is_replaced_before_the_brokers_own_certificate_ends() {
    let life = Duration::from_secs(8);
    let mut broker = Broker::with_life(life);
    let (begun, _world) = (Instant::now(), World::start(&broker));
    let first = broker.attach().await;
    let second = while_probing(slice::from_ref(&first.sender), broker.attach()).await;
    assert!(begun.elapsed() < life);
    assert!(second.tunnel.close_reason().is_none());
}

#[tokio::test]
async fn a_rotation_is_acknowledged_step_by_step_as_it_comes_true() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    let mut first = broker.attach().await;
    let both = TrustBundle { mesh_roots: roots(&[&broker.mesh, &broker.next]), ..world.stage.bundle(2) };
    first.send(rotation(RotationPhase::Init));
    first.send(FromBroker::TrustBundle(envelope(&world.stage.sign(&both))));
    assert_eq!(first.rotation_ack().await, (RotationPhase::Init, 2));
    first.send(rotation(RotationPhase::UpdateReplicas));
    first.csr().await;
    first.send(leaf(&world.stage.leaf(&broker.next, HOUR)));
    let mut second = while_probing(slice::from_ref(&first.sender), broker.attach()).await;
    second.send(rotation(RotationPhase::UpdateReplicas));
    assert_eq!(second.rotation_ack().await, (RotationPhase::UpdateReplicas, 2));
    second.send(rotation(RotationPhase::UpdateBrokers));
    assert_eq!(second.rotation_ack().await, (RotationPhase::UpdateBrokers, 2));
    let new = TrustBundle { mesh_roots: roots(&[&broker.next]), ..world.stage.bundle(3) };
    second.send(rotation(RotationPhase::Standby));
    second.send(FromBroker::TrustBundle(envelope(&world.stage.sign(&new))));
    assert_eq!(second.rotation_ack().await, (RotationPhase::Standby, 3));
}

#[tokio::test]
async fn floods_of_bundles_and_rotations_neither_stop_probes_nor_change_anything() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    let mut attached = broker.attach().await;
    let stranger = Stage::new();
    let foreign = envelope(&stranger.sign(&stranger.bundle(9)));
    for seed in 0..100_u8 {
        let phase = if seed % 2 == 0 { RotationPhase::UpdateReplicas } else { RotationPhase::Rollback };
        attached.send(rotation(phase));
        attached.send(FromBroker::TrustBundle(foreign.clone()));
    }
    attached.probed().await;
    let belief = world.living.trust.belief().borrow().clone();
    assert_eq!(belief.bundle.sequence, 1);
    // An honest message is repeated until it finds room.
    let good = FromBroker::TrustBundle(envelope(&world.stage.sign(&world.stage.bundle(2))));
    let taken = attached.sender.keep(broker::message(good)).unwrap();
    while_probing(slice::from_ref(&attached.sender), taken).await.unwrap();
    assert_eq!(world.living.trust.belief().borrow().bundle.sequence, 2);
}

#[tokio::test]
async fn a_replica_that_begins_to_take_requests_says_so_by_another_tunnel() {
    let mut broker = Broker::start();
    let not_yet = Admission::Refusing("not enrolled".to_owned());
    let world = World::of(&broker, Stage::with(broker.mesh.clone()), not_yet);
    let first = broker.attach().await;
    assert!(first.hello.capabilities.is_empty());
    world.admission.send_replace(Admission::Open);
    let second = while_probing(slice::from_ref(&first.sender), broker.attach()).await;
    assert_eq!(second.hello.capabilities, ["requests"]);
}

#[tokio::test]
async fn a_drain_during_the_dial_of_a_replacement_cuts_no_session() {
    let mut broker = Broker::start();
    let mut world = World::start(&broker);
    world.grant(door(1));
    let mut first = broker.attach().await;
    let mut session =
        first.tunnel.open(&Header::new(Kind::Session { door: door(1) }), PATIENCE).await.unwrap();
    session.write_all(b"before").await.unwrap();
    // Nobody answers there, so that the dial goes on and on.
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    world.name([silent.local_addr().unwrap().to_string()]);
    let mut dial = [0; 2048];
    while_probing(slice::from_ref(&first.sender), silent.recv_from(&mut dial)).await.unwrap();
    world.drain.begin();
    first.next(|body| matches!(body, ToBroker::Draining(_)).then_some(())).await;
    session.write_all(b" and after").await.unwrap();
    session.shutdown().await.unwrap();
    let mut back = Vec::new();
    session.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"before and after");
    world.ended().await;
}

#[tokio::test]
async fn a_broker_that_the_vendor_dropped_is_left_though_no_other_takes_its_place() {
    let mut broker = Broker::start();
    let mut other = broker.beside();
    let world = World::start(&broker);
    world.grant(door(1));
    let first = broker.attach().await;
    world.name([broker.address(), other.address()]);
    let mut second = other.attach().await;
    world.eventually_attached(2).await;
    let mut session =
        second.tunnel.open(&Header::new(Kind::Session { door: door(1) }), PATIENCE).await.unwrap();
    world.name([broker.address()]);
    let both = [first.sender.clone(), second.sender.clone()];
    let left = second.next(|body| matches!(body, ToBroker::Draining(_)).then_some(()));
    while_probing(&both, left).await;
    session.write_all(b"still").await.unwrap();
    session.shutdown().await.unwrap();
    let mut back = Vec::new();
    session.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"still");
    while_probing(slice::from_ref(&first.sender), second.tunnel.closed()).await;
    world.eventually_attached(1).await;
    assert_eq!(world.status().len(), 1);
}

#[tokio::test]
async fn a_withheld_renewal_leaves_the_tunnel_and_shows() {
    let mut broker = Broker::start();
    let stage = Stage::with(broker.mesh.clone());
    stage.write_leaf(&stage.leaf(&stage.mesh, Duration::from_secs(6)));
    let world = World::on(&broker, stage);
    let mut attached = broker.attach().await;
    let probed = [attached.sender.clone()];
    let withheld = async {
        attached.csr().await;
        let trust = world.living.trust.clone();
        eventually("people are told", LONG, || {
            let told = !trust.warnings(clock::wall()).is_empty();
            async move { told }
        })
        .await;
    };
    while_probing(&probed, withheld).await;
}

#[tokio::test]
async fn a_file_of_the_customer_with_another_certificate_replaces_the_tunnel() {
    let mut broker = Broker::start();
    let world = World::start(&broker);
    let first = broker.attach().await;
    let renewed = world.stage.leaf(&broker.mesh, 2 * HOUR);
    world.stage.write_leaf(&renewed);
    while_probing(slice::from_ref(&first.sender), broker.attach()).await;
    let shown = world.living.trust.dialing().borrow().as_ref().unwrap().leaf;
    assert_eq!(shown, Fingerprint::of(&renewed));
}
