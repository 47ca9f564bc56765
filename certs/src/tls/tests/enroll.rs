//! Enrollment: the broker proves itself, the replica shows nothing, and nothing else is spoken there.

use super::*;

fn broker(ca: &Ca) -> Arc<ServerConfig> {
    let [broker, ..] = identities();
    server_at(enroll_server(&ca.credential(&shape(&broker))).unwrap(), NOW)
}

fn anywhere() -> ServerName<'static> {
    ServerName::try_from("192.0.2.1").unwrap()
}

#[test]
fn a_replica_without_a_certificate_reaches_a_broker_of_the_roots() {
    let ca = Ca::new(CaKind::Mesh);
    let client = client_at(enroll_client(ca.mesh()).unwrap(), NOW);
    let Ended { client, server } = connect(&client, &broker(&ca), anywhere()).unwrap();
    assert_eq!(server.alpn_protocol(), Some(ENROLL_ALPN));
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(server.peer_certificates(), None);
    assert_eq!(client.tls13_tickets_received(), 0);
}

#[test]
fn a_replica_takes_brokers_of_its_roots_only() {
    let (ca, other) = (Ca::new(CaKind::Mesh), Ca::new(CaKind::Mesh));
    let client = client_at(enroll_client(ca.mesh()).unwrap(), NOW);
    assert!(refused(&client, &broker(&other), anywhere()).contains("UnknownIssuer"));
    for identity in identities().iter().filter(|identity| identity.role() != Role::Broker) {
        let posing = server_at(enroll_server(&ca.credential(&shape(identity))).unwrap(), NOW);
        let error = refused(&client, &posing, anywhere());
        assert!(error.contains("WrongRole") || error.contains("InvalidPurpose"), "{identity}: {error}");
    }
    let late = client_at(enroll_client(ca.mesh()).unwrap(), NOW.plus(DAY));
    assert!(refused(&late, &broker(&ca), anywhere()).contains("Expired"));
}

#[test]
fn whoever_answers_may_hand_out_a_bundle_that_proves_itself() {
    let (ca, other) = (Ca::new(CaKind::Mesh), Ca::new(CaKind::Mesh));
    for ca in [&ca, &other] {
        let client = client_at(insecure_enroll_client().unwrap(), NOW);
        assert!(connect(&client, &broker(ca), anywhere()).is_ok());
    }
}

#[test]
fn no_other_protocol_is_spoken() {
    let ca = Ca::new(CaKind::Mesh);
    let mut config = Arc::unwrap_or_clone(client_at(enroll_client(ca.mesh()).unwrap(), NOW));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let error = refused(&Arc::new(config), &broker(&ca), anywhere());
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    let error = refused(&handshake::anonymous_tls12(), &broker(&ca), anywhere());
    assert!(error.contains("Tls12NotOffered") || error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn gives_no_tickets_and_keeps_no_sessions() {
    let ca = Ca::new(CaKind::Mesh);
    let server = broker(&ca);
    assert_eq!((server.send_tls13_tickets, server.max_early_data_size), (0, 0));
    assert!(!server.session_storage.can_cache());
    assert!(!enroll_client(ca.mesh()).unwrap().enable_early_data);
}
