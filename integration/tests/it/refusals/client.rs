//! What a broker, or somebody who would like to be one, can send to a client.

use prost::Message;
use tunnel_certs::{crypto::random, key::SealingKey, seal};
use tunnel_integration::harness::{
    PATIENCE,
    counters::Counters,
    hostile::{Captive, HostileBroker},
    operator::access_to,
    program::Program,
    raw_broker::RawBroker,
    vendor::{Vendor, now},
    world::{Plan, World},
};
use tunnel_protos::{
    Door,
    v1::{self, Envelope, broker_message::Body},
};
use tunnel_transport::{Header, Kind, frame};

use crate::children::client_admin;

/// A client in a process of its own, and the world that it belongs to.
struct Site {
    world: World,
    counters: Counters,
    client: Program,
}

impl Site {
    /// A client of a fresh world that dials whatever `broker` makes of it.
    async fn of<B>(broker: impl FnOnce(&World) -> (B, std::net::SocketAddr)) -> (Self, B) {
        let mut world = Plan::new().unwrap().start_offline().await.unwrap();
        let (broker, address) = broker(&world);
        world.client_settings.brokers = vec![address];
        let mut client = world.client_settings.spawn(&[]).unwrap();
        let listens = |log: &str| log.contains("Listening").then_some(());
        client.says("its admin port", PATIENCE, listens).await.unwrap();
        let counters = Counters::at(client_admin(&client));
        (Self { world, counters, client }, broker)
    }

    async fn raw() -> (Self, RawBroker) {
        Self::of(|world| {
            let broker = RawBroker::bind(&world.vendor).unwrap();
            let address = broker.address().unwrap();
            (broker, address)
        })
        .await
    }

    async fn captured() -> (Self, Captive, HostileBroker) {
        let (site, evil) = Self::of(|world| {
            let evil = HostileBroker::bind(&world.vendor).unwrap();
            let address = evil.address().unwrap();
            (evil, address)
        })
        .await;
        let captive = evil.attach().await.unwrap();
        (site, captive, evil)
    }

    async fn ends(&mut self) {
        self.client.kill().await.unwrap();
    }
}

#[tokio::test]
async fn each_broker_that_is_none_is_counted() {
    let (mut site, _evil) = Site::of(|world| {
        let strange = Vendor::create(&world.folder().join("other")).unwrap();
        let evil = HostileBroker::bind(&strange).unwrap();
        let address = evil.address().unwrap();
        (evil, address)
    })
    .await;
    let failed = "postern_client_tunnel_dials_total{result=\"failed\"}";
    site.counters.moves(failed, std::future::ready(())).await.unwrap();
    site.ends().await;
}

#[tokio::test]
async fn each_beginning_of_a_tunnel_that_is_none_is_counted() {
    let ended = |reason| format!("postern_client_tunnels_ended_total{{reason=\"{reason}\"}}");
    let session = Header::new(Kind::Session { door: Door::from_random(random::<17>()) }).encode().unwrap();
    // What is no control stream, each to a fresh client: after such a broker it pauses for long.
    for first in [&session[..], &[0xff; 4]] {
        let (mut site, broker) = Site::raw().await;
        let _tunnel = site.counters.moves(&ended("malformed"), broker.begin(first)).await.unwrap().unwrap();
        site.ends().await;
    }
    let (mut site, broker) = Site::raw().await;
    let _tunnel = site.counters.moves(&ended("version"), broker.welcome(9)).await.unwrap().unwrap();
    site.ends().await;
}

#[tokio::test]
async fn each_control_frame_that_is_none_is_counted() {
    let (mut site, broker) = Site::raw().await;
    for (reason, frame) in [("malformed", &[0, 0, 0, 2, 0xff, 0xff][..]), ("too_large", &[0xff; 4])] {
        let mut tunnel = broker.welcome(1).await.unwrap();
        let ended = format!("postern_client_tunnels_ended_total{{reason=\"{reason}\"}}");
        site.counters.moves(&ended, tunnel.control(frame)).await.unwrap().unwrap();
    }
    site.ends().await;
}

#[tokio::test]
async fn each_stream_that_leads_nowhere_is_counted() {
    let (mut site, broker) = Site::raw().await;
    let mut tunnel = broker.welcome(1).await.unwrap();
    let header = |kind: i32, door: &str, peer: &str| {
        let header = v1::Header { kind, door: door.to_owned(), peer: peer.to_owned(), ..Default::default() };
        frame::encode(&header, frame::HEADER_CAP).unwrap().to_vec()
    };
    let door = Door::from_random(random::<17>()).to_string();
    for (code, bytes) in [
        ("too_large", vec![0, 0, 0x10, 1]),
        ("malformed", vec![0, 0, 0, 2, 0xff, 0xff]),
        ("malformed", vec![0, 0, 0, 9, 8]),
        ("malformed", header(2, "no door", "")),
        ("malformed", header(2, &door, "no address")),
        ("unknown_kind", header(0, "", "")),
        ("unknown_kind", header(99, &door, "")),
        ("unknown_kind", header(1, "", "")),
        ("unknown_door", header(2, &door, "")),
    ] {
        let refused = format!("postern_client_streams_refused_total{{code=\"{code}\"}}");
        site.counters.moves(&refused, tunnel.stream(&bytes)).await.unwrap().unwrap();
    }
    site.ends().await;
}

#[tokio::test]
async fn each_delivery_that_is_refused_is_counted() {
    let (mut site, mut captive, _evil) = Site::captured().await;
    let operator = site.world.operator("ada").unwrap();
    let entry = operator.entry(&site.world.cluster()).await.unwrap();
    let key = SealingKey::generate().unwrap();
    let draft =
        || operator.draft(&entry, &key, access_to(&["engine.admin.v1.Admin/GetStatus"]).unwrap()).unwrap();
    let sealed = |bytes: &[u8]| seal::seal_request(bytes, &entry.label, &entry.sealing_key).unwrap();
    let genuine = operator.sign(&draft()).unwrap();
    let altered = |change: &dyn Fn(&mut Envelope)| {
        let mut envelope = genuine.clone();
        change(&mut envelope);
        envelope.encode_to_vec()
    };
    let other = SealingKey::generate().unwrap();
    let foreign = seal::seal_request(&genuine.encode_to_vec(), &entry.label, other.public()).unwrap();
    let unknown_key = "postern_client_deliveries_total{status=\"RECEIVED_STATUS_UNKNOWN_KEY\"}";
    site.counters.moves(unknown_key, captive.deliver(foreign)).await.unwrap().unwrap();
    let unproven = "postern_client_unproven_total";
    let mut broken_seal = sealed(&genuine.encode_to_vec());
    broken_seal.ciphertext = broken_seal.ciphertext.slice(1..);
    for input in [
        broken_seal,
        sealed(b"no envelope"),
        sealed(&altered(&|envelope| envelope.payload_type.push('x'))),
        sealed(&altered(&|envelope| envelope.payload.truncate(40))),
        sealed(&altered(&|envelope| envelope.signatures.clear())),
        sealed(&altered(&|envelope| envelope.signatures[0].certificate = None)),
    ] {
        site.counters.moves(unproven, captive.deliver(input)).await.unwrap().unwrap();
    }
    let mut late = draft();
    (late.issued, late.expires) = (now().minus(PATIENCE * 2), now().minus(PATIENCE));
    let late = sealed(&operator.sign(&late).unwrap().encode_to_vec());
    let denied = "postern_client_requests_total{state=\"denied\"}";
    site.counters.moves(denied, captive.deliver(late)).await.unwrap().unwrap();
    captive.deliver(sealed(&genuine.encode_to_vec())).await.unwrap();
    let replayed = "postern_client_replayed_total";
    let again = sealed(&genuine.encode_to_vec());
    site.counters.moves(replayed, captive.deliver(again)).await.unwrap().unwrap();
    site.ends().await;
}

#[tokio::test]
async fn each_statement_of_the_vendor_that_is_none_is_counted() {
    let (mut site, captive, _evil) = Site::captured().await;
    let strange = Vendor::create(&site.world.folder().join("other")).unwrap();
    let read = |path: &std::path::Path| Envelope::decode(&*std::fs::read(path).unwrap()).unwrap();
    let foreign = read(&strange.trust_bundle(&[]).unwrap());
    let oversized = Envelope { payload: vec![0; 300 << 10], ..foreign.clone() };
    let bundles = "postern_client_trust_refused_total{what=\"bundle\"}";
    let entries = "postern_client_enrollment_entries_refused_total";
    let mut older = read(&site.world.client_settings.folder.join("entry.pb"));
    older.signatures.clear();
    for (series, body) in [
        (bundles, Body::TrustBundle(Envelope::default())),
        (bundles, Body::TrustBundle(foreign.clone())),
        (bundles, Body::TrustBundle(oversized.clone())),
        (entries, Body::InventoryEntry(foreign)),
        (entries, Body::InventoryEntry(older)),
        (entries, Body::InventoryEntry(oversized)),
    ] {
        let sent = site.counters.moves(series, async { captive.send(body) }).await.unwrap();
        sent.unwrap();
    }
    let full = "postern_client_refused_total{queue=\"news\"}";
    let flooded = site.counters.moves(full, async {
        for _ in 0..64 {
            // A queue that is full at this end is a limit, too.
            let _ = captive.send(Body::TrustBundle(Envelope::default()));
        }
    });
    flooded.await.unwrap();
    site.ends().await;
}
