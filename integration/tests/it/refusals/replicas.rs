//! What a replica, or somebody who would like to be one, can send to a broker over QUIC.

use tunnel_certs::{credential::Credential, crypto::random};
use tunnel_integration::harness::{hostile_replica::HostileReplica, vendor::Vendor};
use tunnel_protos::{
    Door,
    v1::{Doors, Envelope, Hello, ProbeReply, RenewCsr, SealedOutcome, replica_message::Body},
};

use super::strangers::Site;

/// Longer than any control message may be.
const OVERSIZED: [u8; 4] = [0xff; 4];
/// A frame whose message is no protobuf.
const GARBAGE: [u8; 6] = [0, 0, 0, 2, 0xff, 0xff];

fn hello(min_version: u32, max_version: u32) -> Body {
    Body::Hello(Hello { min_version, max_version, ..Default::default() })
}

#[tokio::test]
async fn each_certificate_that_is_no_replicas_is_counted() {
    let site = Site::open("").await;
    let strange = Vendor::create(&site.folder.path().join("other")).unwrap();
    let of = |files: tunnel_integration::harness::vendor::Files| {
        let credential = Credential::load(&files.certificate, &files.key).unwrap();
        HostileReplica::showing(&site.vendor, credential, site.listen.quic).unwrap()
    };
    let refused = "postern_broker_handshakes_total{place=\"quic\",result=\"failed\"}";
    for (whose, replica) in [
        ("another vendor's", HostileReplica::of(&site.vendor, strange.mesh(), site.listen.quic).unwrap()),
        ("a broker's", of(site.vendor.broker(&"b2".parse().unwrap()).unwrap())),
        ("an operator's", of(site.vendor.operator(&"ada".parse().unwrap()).unwrap())),
    ] {
        // In TLS 1.3 the client is done before it is refused.
        let dialed = site.counters.moves(refused, replica.line()).await.unwrap();
        assert!(dialed.is_err(), "{whose}");
    }
}

#[tokio::test]
async fn each_first_message_that_is_no_hello_is_counted() {
    let site = Site::open("").await;
    let replica = HostileReplica::of(&site.vendor, site.vendor.mesh(), site.listen.quic).unwrap();
    let series = |result| format!("postern_broker_attaches_total{{result=\"{result}\"}}");
    for (result, bytes) in [("control", &OVERSIZED[..]), ("control", &GARBAGE)] {
        let mut line = replica.line().await.unwrap();
        site.counters.moves(&series(result), line.write(bytes)).await.unwrap().unwrap();
    }
    for (result, body) in [
        ("not_hello", Body::ProbeReply(ProbeReply::default())),
        ("version", hello(9, 12)),
        ("version", hello(0, 0)),
    ] {
        let mut line = replica.line().await.unwrap();
        site.counters.moves(&series(result), line.say(body)).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn each_message_that_ends_a_tunnel_is_counted() {
    let site = Site::open("").await;
    let replica = HostileReplica::of(&site.vendor, site.vendor.mesh(), site.listen.quic).unwrap();
    let ended = |reason| format!("postern_broker_tunnels_ended_total{{reason=\"{reason}\"}}");
    for bytes in [&OVERSIZED[..], &GARBAGE] {
        let mut line = replica.attached().await.unwrap();
        site.counters.moves(&ended("malformed"), line.write(bytes)).await.unwrap().unwrap();
    }
    let doors = |added: Vec<String>| Body::Doors(Doors { full: true, added, removed: Vec::new() });
    let many = (0..5_000).map(|_| Door::from_random(random::<17>()).to_string()).collect();
    for (series, body) in [
        (ended("second_hello"), hello(1, 1)),
        (ended("doors"), doors(vec!["no door".to_owned()])),
        ("postern_broker_refused_total{queue=\"doors\"}".to_owned(), doors(many)),
    ] {
        let mut line = replica.attached().await.unwrap();
        site.counters.moves(&series, line.say(body)).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn each_statement_of_a_replica_that_proves_nothing_is_counted() {
    let site = Site::open("").await;
    let replica = HostileReplica::of(&site.vendor, site.vendor.mesh(), site.listen.quic).unwrap();
    let mut line = replica.attached().await.unwrap();
    let outcome = |id: usize| {
        let (enc, ciphertext) = (vec![1; 32], vec![1; 100].into());
        Body::Outcome(SealedOutcome { envelope_id: vec![1; id], enc, ciphertext })
    };
    let envelope = |bytes: usize| Envelope {
        payload_type: "application/vnd.postern.ack.v1+protobuf".to_owned(),
        payload: vec![1; bytes],
        signatures: Vec::new(),
    };
    let errand =
        |kind, result| format!("postern_broker_errands_total{{kind=\"{kind}\",result=\"{result}\"}}");
    let outcomes = |result| format!("postern_broker_outcomes_total{{result=\"{result}\"}}");
    let csr = |bytes: usize| Body::RenewCsr(RenewCsr { csr: vec![1; bytes] });
    for (series, body) in [
        (outcomes("malformed"), outcome(31)),
        (outcomes("unasked"), outcome(32)),
        (errand("renew", "refused"), csr(100)),
        (errand("renew", "too_large"), csr(100 << 10)),
        (errand("acknowledgement", "refused"), Body::RotationAck(envelope(100))),
        (errand("acknowledgement", "too_large"), Body::RotationAck(envelope(500 << 10))),
        (errand("registration", "no_entry"), Body::Registration(envelope(100))),
        (errand("registration", "too_large"), Body::Registration(envelope(500 << 10))),
    ] {
        site.counters.moves(&series, line.say(body)).await.unwrap().unwrap();
    }
    let full = "postern_broker_refused_total{queue=\"errands\"}";
    site.counters
        .moves(full, async {
            for _ in 0..200 {
                line.say(csr(100)).await.unwrap();
            }
        })
        .await
        .unwrap();
}
