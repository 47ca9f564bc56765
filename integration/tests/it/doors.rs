//! Doors: what the broker routes, what the gate serves, and what neither does.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tunnel_certs::crypto::random;
use tunnel_integration::harness::{
    PATIENCE,
    alert::{Answer, after_handshake, answer},
    hostile::HostileBroker,
    operator::Pass,
    stranger,
    wait::until,
    world::{Plan, World},
};
use tunnel_protos::{Door, DoorName};

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";

fn unrecognized() -> Answer {
    Answer::Alert("UnrecognisedName".to_owned())
}

fn host(world: &World, door: Door) -> String {
    DoorName { door, label: world.client_settings.label }.host(world.vendor.suffix())
}

#[tokio::test]
async fn an_unknown_door_gets_the_alert_unrecognized_name() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let made_up = host(&world, Door::from_random(random::<17>()));
    let peer = pass.peer_as(&made_up, &pass.credential).unwrap();
    assert_eq!(answer(&peer).await.unwrap(), unrecognized());
    assert_eq!(answer(&pass.peer().unwrap()).await.unwrap(), Answer::Served);
}

#[tokio::test]
async fn the_door_of_another_grant_is_refused_with_an_alert() {
    let world = World::start().await.unwrap();
    let (mine, other) = (world.pass(&[STATUS]).await.unwrap(), world.pass(&[STATUS]).await.unwrap());
    let peer = mine.peer_as(&other.host, &mine.credential).unwrap();
    assert!(answer(&peer).await.unwrap().is_alert());
}

#[tokio::test]
async fn a_door_of_an_offline_cluster_gets_the_alert_unrecognized_name() {
    let mut world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    world.stop_client().await.unwrap();
    world.offline().await.unwrap();
    assert_eq!(answer(&pass.peer().unwrap()).await.unwrap(), unrecognized());
}

#[tokio::test]
async fn a_caller_without_a_certificate_gets_an_alert() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let mut peer = pass.peer().unwrap();
    peer.tls = stranger::anonymous(pass.anchors.certificates()).unwrap();
    assert!(answer(&peer).await.unwrap().is_alert());
}

#[tokio::test]
async fn strangers_at_a_door_never_keep_an_operator_out() {
    let mut plan = Plan::new().unwrap();
    plan.client.more.push_str("limits: { sessions: 32 }\n");
    let world = plan.start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let mut strangers = Vec::new();
    for n in 0..150 {
        strangers.push(knock(&pass, world.address()).await);
        if n % 30 == 0 {
            assert_eq!(answer(&pass.peer().unwrap()).await.unwrap(), Answer::Served, "after {n}");
        }
    }
    assert_eq!(answer(&pass.peer().unwrap()).await.unwrap(), Answer::Served);
    let cut = until("all strangers but the newest are cut", PATIENCE, || {
        let cut = strangers.iter().filter(|stranger| is_cut(stranger)).count();
        async move { if cut >= 150 - 8 { Ok(()) } else { Err(format!("{cut} of 150")) } }
    });
    cut.await.unwrap();
}

/// A connection that says which door it wants, and then nothing.
async fn knock(pass: &Pass, broker: std::net::SocketAddr) -> TcpStream {
    let mut hello = Vec::new();
    let peer = pass.peer().unwrap();
    let mut client = rustls::ClientConnection::new(peer.tls, peer.name).unwrap();
    client.write_tls(&mut hello).unwrap();
    let mut stream = TcpStream::connect(broker).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    stream
}

/// Reads what the gate said until then.
fn is_cut(stranger: &TcpStream) -> bool {
    loop {
        match stranger.try_read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// A world whose client is attached to a broker that was taken over; the pass was had through the honest one.
async fn captured() -> (World, HostileBroker, [Pass; 2]) {
    let mut world = Plan::new().unwrap().start().await.unwrap();
    let passes = [world.pass(&[STATUS]).await.unwrap(), world.pass(&[STATUS]).await.unwrap()];
    let evil = HostileBroker::bind(&world.vendor).unwrap();
    world.stop_client().await.unwrap();
    world.client_settings.brokers = vec![evil.address().unwrap()];
    world.start_client().await.unwrap();
    (world, evil, passes)
}

#[tokio::test]
async fn a_header_door_that_is_not_the_sni_is_refused_by_the_gate() {
    let (_world, evil, [one, two]) = captured().await;
    let captive = evil.attach().await.unwrap();
    let config = one.peer().unwrap().tls;
    let (own, other) = (one.doors[0].1, two.doors[0].1);
    // As it should be, so that the refusals below are for the door alone.
    let served = captive.tls(own, &one.host, config.clone()).await.unwrap();
    assert_eq!(after_handshake(served).await.unwrap(), Answer::Served);
    for (header, sni) in [(other, &one.host), (own, &two.host), (other, &two.host)] {
        let refused = match captive.tls(header, sni, config.clone()).await {
            Ok(stream) => after_handshake(stream).await.unwrap() != Answer::Served,
            Err(_) => true,
        };
        assert!(refused, "header {header}, SNI {sni}");
    }
}

#[tokio::test]
async fn a_door_that_was_never_given_out_is_refused_on_the_stream() {
    let (_world, evil, _) = captured().await;
    let captive = evil.attach().await.unwrap();
    assert!(captive.session(Door::from_random(random::<17>())).await.is_err());
}

#[tokio::test]
async fn a_broker_cannot_read_a_session_with_a_certificate_of_its_own() {
    let (world, _evil, [pass, _]) = captured().await;
    let own = tunnel_certs::issue::Authority::create(
        tunnel_certs::issue::CaKind::Access,
        world.client_settings.label.as_str(),
        std::sync::Arc::new(
            tunnel_certs::key::SigningKey::generate(tunnel_certs::key::Algorithm::P256).unwrap(),
        ),
        tunnel_integration::harness::vendor::now(),
    )
    .unwrap();
    let now = tunnel_integration::harness::vendor::now();
    let forged = own.issue_gate_server(&world.client_settings.label, world.vendor.suffix(), now).unwrap();
    let client = pass.peer().unwrap();
    let error = handshake_in_memory(&forged, &client).await.unwrap_err();
    assert!(
        error.to_string().contains("UnknownIssuer") || error.to_string().contains("certificate"),
        "{error}"
    );
}

/// An operator's TLS client against a server that shows `forged`.
async fn handshake_in_memory(
    forged: &tunnel_certs::credential::Credential,
    client: &tunnel_integration::harness::channel::Peer,
) -> std::io::Result<()> {
    use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
    let key = PrivateKeyDer::from_pem_slice(forged.key().to_pem().as_bytes()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![forged.certificate().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (near, far) = tokio::io::duplex(1 << 16);
    let server = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config)).accept(far);
    let connector = tokio_rustls::TlsConnector::from(client.tls.clone());
    let (connected, _) = tokio::join!(connector.connect(client.name.clone(), near), server);
    connected.map(drop)
}
