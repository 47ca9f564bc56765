//! Which certificate opens which place: everything but the one that belongs there is refused.

use std::{sync::Arc, time::Duration};

use rustls_pki_types::{CertificateDer, ServerName};
use tonic::Code;
use tunnel_certs::{
    credential::Credential,
    issue::{Authority, CaKind, GrantTerms},
    key::{Algorithm, Signer, SigningKey},
    roots::Roots,
    verify::MeshVerifier,
};
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, admin_client::AdminClient},
    harness::{
        PATIENCE,
        alert::{Answer, answer},
        channel::Peer,
        operator::{Operator, Pass},
        stranger,
        vendor::{Vendor, now},
        wait::until,
        world::{Plan, World},
    },
};
use tunnel_transport::{
    Limits,
    quic::{ClientTls, Dial, dial},
};

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
const HOUR: Duration = Duration::from_secs(3600);

/// A certificate and its key, of any role.
struct Shown {
    role: &'static str,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<SigningKey>,
}

impl Shown {
    fn new(role: &'static str, certify: impl FnOnce(&SigningKey) -> CertificateDer<'static>) -> Self {
        let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
        Self { role, chain: vec![certify(&key)], key }
    }

    fn of(role: &'static str, credential: &Credential) -> Self {
        Self { role, chain: vec![credential.certificate().clone()], key: Arc::clone(credential.key()) }
    }
}

fn broker(vendor: &Vendor) -> Shown {
    let id = "b9".parse().unwrap();
    Shown::new("broker", |key| {
        vendor.mesh().issue_broker(key.public(), vendor.name(), &id, HOUR, now()).unwrap()
    })
}

fn replica(world: &World, vendor: &Vendor, role: &'static str, life: Duration, ago: Duration) -> Shown {
    let (label, id) = (world.client_settings.label, "r9".parse().unwrap());
    Shown::new(role, |key| {
        let at = now().minus(ago);
        vendor.mesh().issue_replica(key.public(), vendor.name(), &label, &id, life, at).unwrap()
    })
}

fn operator(vendor: &Vendor, role: &'static str, life: Duration, ago: Duration) -> Shown {
    let name = "ada".parse().unwrap();
    Shown::new(role, |key| {
        let at = now().minus(ago);
        vendor.operators().issue_operator(key.public(), vendor.name(), &name, life, at).unwrap()
    })
}

/// A grant certificate by a CA of one's own, for a real grant.
fn forged_grant(world: &World, pass: &Pass) -> Shown {
    let label = world.client_settings.label;
    let signer = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    let ca = Authority::create(CaKind::Access, label.as_str(), signer, now().minus(HOUR)).unwrap();
    let terms = GrantTerms { label, grant: pass.grant, ttl: HOUR, grant_end: now().plus(HOUR) };
    Shown::new("grant of another CA", |key| {
        ca.issue_grant(&key.csr().unwrap(), &terms, now()).unwrap().certificate
    })
}

async fn at_gate(pass: &Pass, shown: &Shown) -> Answer {
    let mut peer = pass.peer().unwrap();
    peer.tls = stranger::showing(pass.anchors.certificates(), shown.chain.clone(), &shown.key).unwrap();
    answer(&peer).await.unwrap()
}

#[tokio::test]
async fn the_gate_takes_grant_certificates_of_its_own_ca_only() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let vendor = &world.vendor;
    let own = Shown::of("grant", &pass.credential);
    assert_eq!(at_gate(&pass, &own).await, Answer::Served);
    let mut with_intermediate = Shown::of("grant with an intermediate", &pass.credential);
    with_intermediate.chain.push(pass.anchors.certificates()[0].clone());
    let zero = Duration::ZERO;
    for shown in [
        with_intermediate,
        forged_grant(&world, &pass),
        operator(vendor, "operator", HOUR, zero),
        replica(&world, vendor, "replica", HOUR, zero),
        broker(vendor),
    ] {
        assert!(at_gate(&pass, &shown).await.is_alert(), "{}", shown.role);
    }
}

#[tokio::test]
async fn the_api_takes_operators_only() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let elsewhere = Vendor::create(&world.folder().join("another-vendor")).unwrap();
    let vendor = &world.vendor;
    let two_hours = 2 * HOUR;
    assert_eq!(at_api(&world, &operator(vendor, "operator", HOUR, Duration::ZERO)).await, Answer::Served);
    for shown in [
        Shown::of("grant", &pass.credential),
        replica(&world, vendor, "replica", HOUR, Duration::ZERO),
        broker(vendor),
        operator(vendor, "expired operator", HOUR, two_hours),
        operator(&elsewhere, "operator of another CA", HOUR, Duration::ZERO),
    ] {
        assert!(at_api(&world, &shown).await.is_alert(), "{}", shown.role);
    }
}

async fn at_api(world: &World, shown: &Shown) -> Answer {
    let pem = std::fs::read(world.vendor.api_ca_file()).unwrap();
    let anchors = tunnel_certs::credential::certificates_from_pem(&pem).unwrap();
    let tls = stranger::showing(&anchors, shown.chain.clone(), &shown.key).unwrap();
    let name = ServerName::try_from(world.vendor.suffix().api()).unwrap();
    answer(&Peer { address: world.address(), name, tls }).await.unwrap()
}

#[tokio::test]
async fn the_mesh_takes_replicas_only() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let elsewhere = Vendor::create(&world.folder().join("another-vendor")).unwrap();
    let vendor = &world.vendor;
    let mut with_intermediate = replica(&world, vendor, "replica with an intermediate", HOUR, Duration::ZERO);
    with_intermediate.chain.push(vendor.mesh().certificate().clone());
    assert!(dialed(&world, &replica(&world, vendor, "replica", HOUR, Duration::ZERO)).await);
    for shown in [
        Shown::of("grant", &pass.credential),
        operator(vendor, "operator", HOUR, Duration::ZERO),
        broker(vendor),
        with_intermediate,
        replica(&world, vendor, "expired replica", HOUR, 2 * HOUR),
        replica(&world, &elsewhere, "replica of another CA", HOUR, Duration::ZERO),
    ] {
        assert!(!dialed(&world, &shown).await, "{}", shown.role);
    }
}

/// Whether the broker opened a control stream to whoever dialed with this certificate.
async fn dialed(world: &World, shown: &Shown) -> bool {
    let roots = Roots::new(vec![world.vendor.mesh().certificate().clone()]).unwrap();
    let mut config =
        (*stranger::showing(roots.certificates(), shown.chain.clone(), &shown.key).unwrap()).clone();
    let verifier = MeshVerifier::new(world.vendor.name().clone(), roots);
    config.dangerous().set_certificate_verifier(Arc::new(AnyServer));
    let tls = ClientTls { config: Arc::new(config), verifier };
    let dialing = Dial {
        address: world.listen().quic,
        server_name: "broker.tunnel.example".to_owned(),
        tls,
        limits: Limits::default(),
        deadline: PATIENCE,
    };
    let Ok(tunnel) = dial(&dialing).await else { return false };
    matches!(tokio::time::timeout(PATIENCE, tunnel.accept()).await, Ok(Ok(_)))
}

/// Broker certificates have no DNS name; who the broker is was settled elsewhere, here it is about the client.
#[derive(Debug)]
struct AnyServer;

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[tokio::test]
async fn an_expired_grant_certificate_completes_tls_and_every_call_gets_unauthenticated() {
    let mut plan = Plan::new().unwrap();
    plan.client.policy =
        plan.client.policy.replace("version: 1\n", "version: 1\nclocks: { certificateTtl: 1s }\n");
    let world = plan.start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let status = until("the certificate expires", PATIENCE, || async {
        AdminClient::new(pass.channel().unwrap())
            .get_status(GetStatusRequest {})
            .await
            .err()
            .ok_or("still valid")
    });
    let status = status.await.unwrap();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert!(status.message().contains("tunnelctl connect"), "{}", status.message());
}

#[tokio::test]
async fn a_revoked_grant_completes_tls_and_every_call_gets_unauthenticated() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    world.approver().revoke(&pass.grant.to_string()).await.unwrap();
    assert_eq!(answer(&pass.peer().unwrap()).await.unwrap(), Answer::Served);
    let mut admin = AdminClient::new(pass.channel().unwrap());
    let status = admin.get_status(GetStatusRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
}

#[tokio::test]
async fn a_restarted_client_still_knows_its_grants_and_its_revocations() {
    let mut world = World::start().await.unwrap();
    let (live, dead) = (world.pass(&[STATUS]).await.unwrap(), world.pass(&[STATUS]).await.unwrap());
    world.approver().revoke(&dead.grant.to_string()).await.unwrap();
    world.stop_client().await.unwrap();
    world.start_client().await.unwrap();
    world.online().await.unwrap();
    let call = |pass: &Pass| {
        let mut admin = AdminClient::new(pass.channel().unwrap());
        async move { admin.get_status(GetStatusRequest {}).await }
    };
    let answered = until("the live grant works again", PATIENCE, || call(&live));
    answered.await.unwrap();
    assert_eq!(call(&dead).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_operator_cannot_use_anothers_grant() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let mallory: Operator = world.operator("mallory").unwrap();
    let refused = mallory.certificate(&world.cluster(), pass.grant).await;
    let error = refused.err().expect("a grant belongs to who asked for it").to_string();
    assert!(error.contains("Denied"), "{error}");
}
