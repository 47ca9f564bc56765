//! Writes the fuzz targets' seeds anew: `cargo run -p tunnel-integration --example seeds`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use prost::Message as _;
use tunnel_certs::{
    csr,
    enrollment::{Bundle, Secret},
    issue::{Authority, CaKind},
    key::{Algorithm, SealingKey, Signer, SigningKey},
    roots::Roots,
    statement::{registration::Registration, trust_bundle::TrustBundle},
};
use tunnel_protos::{Door, Label, TokenId, UnixMillis, v1};
use tunnel_transport::{
    Header, Kind,
    frame::{self, CONTROL_CAP},
};

fn main() -> Result<()> {
    let (mesh, cluster) = (SigningKey::generate(Algorithm::P256)?, SigningKey::generate(Algorithm::Ed25519)?);
    let request = csr::make(&mesh)?;
    write("certificate_request", "p256", &request)?;
    enroll_frames(&request)?;
    write("service_account", "es256", SERVICE_ACCOUNT.as_bytes())?;
    let registration = Registration {
        bundle_sha256: None,
        token: None,
        jwks: Vec::new(),
        label: Label::from_random([7; 17]),
        cluster_key: tunnel_certs::key::Signer::public(&cluster).clone(),
        sealing_key: *SealingKey::generate()?.public(),
        mesh_csr: request,
        facts: Vec::new(),
    };
    write("registration", "signed", &registration.make(&cluster)?.encode_to_vec())?;
    let bundle = enrollment()?;
    write("enrollment_bundle", "bytes", &bundle.encode())?;
    write("enrollment_bundle", "text", bundle.to_text().as_bytes())?;
    write("client_hello", "rustls", &hello()?)?;
    for (name, kind) in [("control", Kind::Control), ("session", session()), ("probe", Kind::Probe)] {
        let header = Header { peer: Some(([192, 0, 2, 1], 4711).into()), ..Header::new(kind) };
        write("stream_header", name, &header.encode()?)?;
    }
    control_frames()?;
    write("signed_payload", "request", &payload().encode_to_vec())?;
    write("grpc_timeout", "seconds", b"10S")?;
    write("grpc_timeout", "longest", b"99999999H")?;
    write("policy", "example", POLICY.as_bytes())
}

/// A replica's redemption, and a fetch after it.
fn enroll_frames(csr: &[u8]) -> Result<()> {
    use v1::enroll_request::Body;
    let redeem = v1::Redeem {
        token_id: "k3v7".repeat(7)[..26].to_owned(),
        broker_secret: vec![7; 32],
        csr: csr.to_vec(),
        ..Default::default()
    };
    let mut both = Vec::new();
    for body in [Body::Redeem(redeem), Body::TrustBundle(v1::FetchTrustBundle {})] {
        both.extend_from_slice(&frame::encode(&v1::EnrollRequest { body: Some(body) }, CONTROL_CAP)?);
    }
    write("enroll_frames", "both", &both)
}

fn session() -> Kind {
    Kind::Session { door: Door::from_random([3; 17]) }
}

fn hello() -> Result<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut hello = Vec::new();
    let name = "api.tunnel.example".try_into()?;
    rustls::ClientConnection::new(Arc::new(config), name)?.write_tls(&mut hello)?;
    Ok(hello)
}

fn control_frames() -> Result<()> {
    let probe = v1::broker_message::Body::Probe(v1::Probe { nonce: vec![1; 16] });
    let doors =
        v1::Doors { full: true, added: vec![Door::from_random([3; 17]).to_string()], removed: vec![] };
    let broker = v1::BrokerMessage { id: 7, body: Some(probe) };
    let replica = v1::ReplicaMessage { id: 7, body: Some(v1::replica_message::Body::Doors(doors)) };
    let mut both = frame::encode(&broker, CONTROL_CAP)?.to_vec();
    both.extend_from_slice(&frame::encode(&replica, CONTROL_CAP)?);
    write("control_frames", "both", &both)
}

fn payload() -> v1::Request {
    v1::Request {
        version: 1,
        id: "01234567-89ab-4cde-8f01-23456789abcd".to_owned(),
        cluster: "acme/prod".to_owned(),
        label: "k3v7aaaaaa".to_owned(),
        issued_ms: 1,
        expires_ms: Duration::from_secs(600).as_millis() as i64,
        outcome_key: vec![9; 32],
        ..v1::Request::default()
    }
}

/// A bundle of a vendor that does not exist.
fn enrollment() -> Result<Bundle> {
    let now = UnixMillis(1_767_225_600_000);
    let (vendor, suffix) = ("initech".parse()?, "tunnel.example".parse()?);
    let key = SigningKey::generate(Algorithm::Ed25519)?;
    let trust = TrustBundle {
        mesh_roots: roots(CaKind::Mesh, now)?,
        operator_roots: roots(CaKind::Operator, now)?,
        vendor_keys: vec![key.public().clone()],
        sequence: 1,
        expires: now.plus(TrustBundle::MAX_LIFE),
        release_keys: vec![],
        release_threshold: 0,
        broker_addresses: vec!["broker.example:443".into()],
        allowed_private_addresses: vec![],
        vendor,
        suffix,
    };
    Ok(Bundle {
        trust_bundle: trust.make(&key)?,
        vendor: trust.vendor,
        suffix: trust.suffix,
        broker_addresses: trust.broker_addresses,
        vendor_keys: trust.vendor_keys,
        cluster: "acme/prod".parse()?,
        label: Label::from_random([7; 17]),
        kind: v1::TokenKind::Cluster,
        token: TokenId::from_random([7; 16]),
        secret: Secret::from_bytes([7; 32]),
        expires: now.plus(Bundle::DEFAULT_LIFE),
    })
}

fn roots(kind: CaKind, now: UnixMillis) -> Result<Roots> {
    let key = Arc::new(SigningKey::generate(Algorithm::P256)?);
    let authority = Authority::create(kind, "initech", key, now)?;
    Ok(Roots::new(vec![authority.certificate().clone()])?)
}

fn write(target: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), bytes)?)
}

const POLICY: &str = "\
version: 1
clocks: { requestTtl: 24h, claimWindow: 1h, workWindow: 1h, certificateTtl: 15m }
approvers: { alice: { uid: 1001 } }
access:
  - methods: [engine.admin.v1.Admin/GetStatus, \"engine.kv.v1.KV/*\"]
    approval: auto
    limits: { bytes: 64MiB, callsPerMinute: 600, streams: 20 }
  - methods: [\"engine.admin.v1.Admin/*\"]
    approval: manual
";

/// A key set with one key, and a token of its form.
const SERVICE_ACCOUNT: &str = concat!(
    r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"k1","#,
    r#""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
    "\0",
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.eyJhdWQiOlsieCJdLCJpc3MiOiJ4Iiwic3ViIjoieCIsImV4cCI6MX0.",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
);
