//! Every parser of peers' bytes as a function of bytes: for cargo-fuzz (`fuzz/`), and for a bounded smoke in the tests.
//!
//! A target may refuse anything and must not panic; where a parser has a property (pieces, round trip), it is asserted.

pub mod mutate;

use std::sync::Arc;

use bytes::BytesMut;
use prost::Message as _;
use tunnel_certs::{
    csr,
    enrollment::Bundle,
    service_account::{self, Expected},
    statement::registration,
};
use tunnel_client::policy::{Methods, Policy};
use tunnel_protos::{UnixMillis, strict, v1};
use tunnel_runtime::grpc::timeout;
use tunnel_transport::{
    Header,
    frame::{self, CONTROL_CAP, HEADER_CAP},
};

/// One parser.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As its folder of seeds and its file in `fuzz/` are called.
    pub name: &'static str,
    /// Parses; whether the bytes were taken, as every seed's must be. Panics only if a promise is broken.
    pub run: fn(&[u8]) -> bool,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "client_hello", run: client_hello },
    Target { name: "stream_header", run: stream_header },
    Target { name: "control_frames", run: control_frames },
    Target { name: "enroll_frames", run: enroll_frames },
    Target { name: "service_account", run: service_account },
    Target { name: "signed_payload", run: signed_payload },
    Target { name: "registration", run: open_registration },
    Target { name: "enrollment_bundle", run: enrollment_bundle },
    Target { name: "certificate_request", run: certificate_request },
    Target { name: "grpc_timeout", run: grpc_timeout },
    Target { name: "policy", run: policy },
];

/// The first bytes of an operator; pieces are read as the whole.
pub fn client_hello(bytes: &[u8]) -> bool {
    tunnel_broker::fuzz_client_hello(bytes)
}

/// The first frame of a stream; what was read is written again as it was meant.
pub fn stream_header(bytes: &[u8]) -> bool {
    let Ok(Some(message)) = frame::decode(&mut BytesMut::from(bytes), HEADER_CAP) else { return false };
    let Ok(header) = Header::decode(message) else { return false };
    let mut again = BytesMut::from(header.encode().expect("a header fits its cap").as_ref());
    let message = frame::decode(&mut again, HEADER_CAP).expect("a frame").expect("a whole one");
    assert_eq!(Header::decode(message), Ok(header), "a header changed on its way");
    true
}

/// Control messages of either side.
pub fn control_frames(bytes: &[u8]) -> bool {
    let (mut buffer, mut read) = (BytesMut::from(bytes), false);
    while let Ok(Some(message)) = frame::decode(&mut buffer, CONTROL_CAP) {
        let broker = v1::BrokerMessage::decode(message.clone()).is_ok_and(|message| message.body.is_some());
        let replica = v1::ReplicaMessage::decode(message).is_ok_and(|message| message.body.is_some());
        read |= broker || replica;
    }
    read
}

/// Asks of replicas that have proven nothing yet.
pub fn enroll_frames(bytes: &[u8]) -> bool {
    tunnel_broker::fuzz_enroll_frames(bytes)
}

/// A key set and a token, each from a cluster, with a zero byte between.
pub fn service_account(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (jwks, token) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let text = || "x".to_owned();
    let expected = Expected { audience: text(), issuer: text(), subject: text() };
    let token = String::from_utf8_lossy(token);
    service_account::verify(jwks, &token, &expected, UnixMillis(0)).is_ok()
}

/// Payloads of every kind of envelope, in which an unknown field refuses the whole.
pub fn signed_payload(bytes: &[u8]) -> bool {
    [
        strict::decode::<v1::Request>("postern.v1.Request", bytes).is_ok(),
        strict::decode::<v1::Outcome>("postern.v1.Outcome", bytes).is_ok(),
        strict::decode::<v1::Approval>("postern.v1.Approval", bytes).is_ok(),
        strict::decode::<v1::InventoryEntry>("postern.v1.InventoryEntry", bytes).is_ok(),
        strict::decode::<v1::TrustBundle>("postern.v1.TrustBundle", bytes).is_ok(),
    ]
    .contains(&true)
}

/// An envelope that brings its own key: signatures, payload, certificate request.
pub fn open_registration(bytes: &[u8]) -> bool {
    registration::open(bytes).is_ok()
}

/// What was delivered to a customer, as bytes or as text; what was read is written again as it came.
pub fn enrollment_bundle(bytes: &[u8]) -> bool {
    let Ok(opened) = Bundle::open(bytes) else { return false };
    let again = Bundle::open(&opened.bundle.encode()).expect("what opened once opens again");
    assert_eq!(again.sha256, opened.sha256, "a bundle has one spelling");
    true
}

/// A PKCS#10.
pub fn certificate_request(bytes: &[u8]) -> bool {
    csr::public_key(bytes).is_ok()
}

/// A header of any caller; what was read is written again no shorter than the gate would wait.
pub fn grpc_timeout(bytes: &[u8]) -> bool {
    let Ok(read) = timeout::parse(bytes) else { return false };
    assert!(timeout::parse(timeout::format(read).as_bytes()).is_ok(), "{read:?} cannot be written");
    true
}

/// A policy file: whoever edits it is trusted, but a reload must never end the client.
pub fn policy(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    Policy::load(&text, Arc::new(Methods::without_descriptors([].into(), [0; 32]))).is_ok()
}
