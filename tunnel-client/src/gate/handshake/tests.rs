use std::io;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsConnector, client::TlsStream as ClientStream};
use tunnel_certs::{
    crypto::provider,
    issue::{Authority, CaKind, GrantTerms, IssuedGrant},
    key::{Algorithm, SigningKey},
    roots::Roots,
    verify::GrantVerifier,
};
use tunnel_protos::{Door, DoorName, GrantId, Label, RequestId, Suffix};

use super::*;
use crate::gate::{
    grants::{self, GrantsWriter, Level, Life, Over},
    testing,
};

type Near = ClientStream<tokio::io::DuplexStream>;

/// One cluster with one grant behind one door, and an operator who holds its certificate.
struct World {
    label: Label,
    suffix: Suffix,
    authority: Authority,
    tls: Arc<GateTls>,
    writer: GrantsWriter,
    grants: GrantsView,
    grant: GrantId,
    door: Door,
    key: Arc<SigningKey>,
    now: UnixMillis,
}

/// What the operator shows, and where they knock.
struct Knock {
    chain: Vec<CertificateDer<'static>>,
    alpn: &'static [u8],
    sni: Door,
    header: Door,
}

fn authority(now: UnixMillis) -> Authority {
    let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    Authority::create(CaKind::Access, "k3v7aaaaaa", key, now).unwrap()
}

fn world() -> World {
    let now = UnixMillis::from_system(std::time::SystemTime::now());
    let (label, suffix) = (Label::from_random([9; 17]), "tunnel.example".parse().unwrap());
    let authority = authority(now.minus(Duration::from_secs(7200)));
    let credential = authority.issue_gate_server(&label, &suffix, now).unwrap();
    let roots = Roots::new(vec![authority.certificate().clone()]).unwrap();
    let tls = Arc::new(GateTls::new(&credential, GrantVerifier::new(label, roots)));
    let (writer, grants) = grants::channel();
    let door = Door::from_random([1; 17]);
    let content = testing::content(&[("engine.admin.v1.Admin/Get", Level::Auto)], door);
    let grant = content.id;
    writer.put(content, Life::Active { until: now.plus(Duration::from_secs(3600)) });
    let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    World { label, suffix, authority, tls, writer, grants, grant, door, key, now }
}

impl World {
    fn terms(&self, grant: GrantId, at: UnixMillis) -> GrantTerms {
        let ttl = Duration::from_secs(600);
        GrantTerms { label: self.label, grant, ttl, grant_end: at.plus(Duration::from_secs(3600)) }
    }

    /// A certificate for `grant`, issued at `at`; its serial is not written down.
    fn issue(&self, grant: GrantId, at: UnixMillis) -> IssuedGrant {
        self.authority.issue_grant(&self.key.csr().unwrap(), &self.terms(grant, at), at).unwrap()
    }

    /// A certificate whose serial is written down.
    fn certificate(&self, at: UnixMillis) -> CertificateDer<'static> {
        let issued = self.issue(self.grant, at);
        self.writer.add_serial(&self.grant, issued.serial);
        issued.certificate
    }

    fn knock(&self, certificate: CertificateDer<'static>) -> Knock {
        Knock { chain: vec![certificate], alpn: b"h2", sni: self.door, header: self.door }
    }

    fn client(&self, knock: &Knock) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let key = PrivateKeyDer::from_pem_slice(self.key.to_pem().as_bytes()).unwrap();
        let mut config = if knock.chain.is_empty() {
            builder.with_no_client_auth()
        } else {
            builder.with_client_auth_cert(knock.chain.clone(), key).unwrap()
        };
        config.alpn_protocols = vec![knock.alpn.to_vec()];
        config
    }

    /// The server's verdict, and the operator's stream if a first byte came through.
    async fn meet(&self, knock: Knock) -> (Result<Admitted, HandshakeError>, io::Result<Near>) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let host = DoorName { door: knock.sni, label: self.label }.host(&self.suffix);
        let name = ServerName::try_from(host).unwrap();
        let client = async {
            let mut stream = TlsConnector::from(Arc::new(self.client(&knock))).connect(name, near).await?;
            // In TLS 1.3 a refusal arrives with the first read.
            stream.read_u8().await.map(|_| stream)
        };
        let handshake = Handshake {
            tls: self.tls.clone(),
            grants: self.grants.clone(),
            door: knock.header,
            now: self.now,
        };
        let server = async {
            let (mut stream, admitted) = handshake.run(far, testing::PATIENCE).await?;
            stream.write_u8(1).await.map_err(HandshakeError::Tls)?;
            stream.flush().await.map_err(HandshakeError::Tls)?;
            Ok(admitted)
        };
        tokio::join!(server, client)
    }

    /// Asserts that the operator gets a TLS alert, and gives the server's reason.
    async fn alerted(&self, knock: Knock) -> HandshakeError {
        let (verdict, stream) = self.meet(knock).await;
        let told = stream.map(drop).unwrap_err();
        assert!(told.to_string().contains("alert"), "{told}");
        verdict.unwrap_err()
    }
}

#[tokio::test]
async fn a_certificate_of_ours_at_its_own_door_is_let_in() {
    let world = world();
    let (admitted, stream) = world.meet(world.knock(world.certificate(world.now))).await;
    let admitted = admitted.unwrap();
    assert_eq!(admitted.grant.grant().id, world.grant);
    assert_eq!(admitted.target.as_str(), "default");
    assert!(stream.is_ok());
}

#[tokio::test]
async fn the_gates_clock_counts_and_not_the_systems() {
    let mut world = world();
    world.now = world.now.plus(Duration::from_secs(7200));
    let (admitted, stream) = world.meet(world.knock(world.certificate(world.now))).await;
    assert!(admitted.is_ok() && stream.is_ok(), "{admitted:?}");
    let future = world.certificate(world.now.plus(Duration::from_secs(600)));
    assert!(matches!(world.alerted(world.knock(future)).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn our_own_expired_certificate_completes_tls() {
    let world = world();
    let old = world.certificate(world.now.minus(Duration::from_secs(3600)));
    let (admitted, stream) = world.meet(world.knock(old)).await;
    assert!(admitted.unwrap().certificate.is_expired(world.now));
    assert!(stream.is_ok());
}

#[tokio::test]
async fn a_revoked_or_ended_grants_certificate_completes_tls() {
    for over in [Over::Revoked, Over::Ended, Over::Withdrawn] {
        let world = world();
        let certificate = world.certificate(world.now);
        world.writer.set_life(&world.grant, Life::Over(over));
        let (admitted, _) = world.meet(world.knock(certificate)).await;
        assert_eq!(admitted.unwrap().grant.life(), Life::Over(over));
    }
}

#[tokio::test]
async fn no_certificate_gets_an_alert() {
    let world = world();
    let knock = Knock { chain: Vec::new(), ..world.knock(world.certificate(world.now)) };
    assert!(matches!(world.alerted(knock).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn a_certificate_of_another_ca_gets_an_alert() {
    let world = world();
    let (csr, terms) = (world.key.csr().unwrap(), world.terms(world.grant, world.now));
    let forged = authority(world.now).issue_grant(&csr, &terms, world.now).unwrap();
    // Even if its serial were known.
    world.writer.add_serial(&world.grant, forged.serial);
    assert!(matches!(world.alerted(world.knock(forged.certificate)).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn a_forged_certificate_that_claims_to_be_expired_gets_an_alert() {
    let world = world();
    let past = world.now.minus(Duration::from_secs(3600));
    let (csr, terms) = (world.key.csr().unwrap(), world.terms(world.grant, past));
    let forged = authority(past).issue_grant(&csr, &terms, past).unwrap();
    world.writer.add_serial(&world.grant, forged.serial);
    assert!(matches!(world.alerted(world.knock(forged.certificate)).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn a_serial_that_was_never_written_down_gets_an_alert() {
    let world = world();
    let unknown = world.issue(world.grant, world.now).certificate;
    assert!(matches!(world.alerted(world.knock(unknown)).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn intermediates_get_an_alert() {
    let world = world();
    let certificate = world.certificate(world.now);
    let chain = vec![certificate.clone(), world.authority.certificate().clone()];
    let knock = Knock { chain, ..world.knock(certificate) };
    assert!(matches!(world.alerted(knock).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn a_gates_own_server_certificate_opens_no_gate() {
    let mut world = world();
    let server = world.authority.issue_gate_server(&world.label, &world.suffix, world.now).unwrap();
    world.key = server.key().clone();
    let knock = world.knock(server.certificate().clone());
    assert!(matches!(world.alerted(knock).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn a_server_name_other_than_the_streams_door_gets_an_alert() {
    let world = world();
    let sni = Door::from_random([2; 17]);
    let knock = Knock { sni, ..world.knock(world.certificate(world.now)) };
    assert!(matches!(world.alerted(knock).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn the_door_of_another_grant_gets_an_alert() {
    let world = world();
    let other = Door::from_random([2; 17]);
    let content = testing::content(&[], other);
    world.writer.put(content, Life::Active { until: world.now.plus(Duration::from_secs(60)) });
    let knock = Knock { sni: other, header: other, ..world.knock(world.certificate(world.now)) };
    assert!(matches!(world.alerted(knock).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn a_certificate_whose_grant_is_not_its_serials_gets_an_alert() {
    let world = world();
    let stranger: GrantId = RequestId::random().into();
    let issued = world.issue(stranger, world.now);
    world.writer.add_serial(&world.grant, issued.serial);
    assert!(matches!(world.alerted(world.knock(issued.certificate)).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn anything_but_h2_gets_an_alert() {
    let world = world();
    let knock = Knock { alpn: b"http/1.1", ..world.knock(world.certificate(world.now)) };
    assert!(matches!(world.alerted(knock).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn no_alpn_at_all_is_refused() {
    let world = world();
    let certificate = world.certificate(world.now);
    let knock = world.knock(certificate);
    let mut config = world.client(&knock);
    config.alpn_protocols.clear();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let host = DoorName { door: world.door, label: world.label }.host(&world.suffix);
    let client = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(host).unwrap(), near);
    let handshake =
        Handshake { tls: world.tls.clone(), grants: world.grants.clone(), door: world.door, now: world.now };
    let (server, _client) = tokio::join!(handshake.run(far, testing::PATIENCE), client);
    assert!(matches!(server.map(drop), Err(HandshakeError::NotHttp2)));
}

#[tokio::test]
async fn an_unknown_door_is_refused_before_a_byte_is_read() {
    let world = world();
    let (_near, far) = tokio::io::duplex(64);
    let door = Door::from_random([8; 17]);
    let handshake = Handshake { tls: world.tls.clone(), grants: world.grants.clone(), door, now: world.now };
    let refused = handshake.run(far, testing::PATIENCE).await.map(drop);
    assert!(matches!(refused, Err(HandshakeError::UnknownDoor)));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_ends_at_its_deadline() {
    let world = world();
    let (_near, far) = tokio::io::duplex(64);
    let (tls, grants) = (world.tls.clone(), world.grants.clone());
    let handshake = Handshake { tls, grants, door: world.door, now: world.now };
    let refused = handshake.run(far, Duration::from_secs(10)).await.map(drop);
    assert!(matches!(refused, Err(HandshakeError::Deadline)));
}
