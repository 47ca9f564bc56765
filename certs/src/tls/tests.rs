//! Handshakes in memory: what completes, what is alerted, and that nothing is resumed.

mod enroll;
mod handshake;

use std::sync::Arc;

use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion, time_provider::TimeProvider};
use rustls_pki_types::ServerName;

use self::handshake::{Ended, connect, refused};
use super::*;
use crate::{
    issue::{CaKind, self_signed_api_server},
    testing::{Ca, DAY, HOUR, NOW, door, identities, label, new_grant, p256, shape, suffix},
    verify::GrantCertificate,
};

/// The tests' time for rustls, which asks the system otherwise.
#[derive(Debug)]
struct At(UnixMillis);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.seconds()).unwrap();
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

fn server_at(config: Arc<ServerConfig>, at: UnixMillis) -> Arc<ServerConfig> {
    let mut config = Arc::unwrap_or_clone(config);
    config.time_provider = Arc::new(At(at));
    Arc::new(config)
}

fn client_at(config: Arc<ClientConfig>, at: UnixMillis) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(config);
    config.time_provider = Arc::new(At(at));
    Arc::new(config)
}

fn gate(ca: &Ca, at: UnixMillis, serials: Arc<dyn KnownSerials>) -> Arc<ServerConfig> {
    let credential = ca.authority.issue_gate_server(&label(), &suffix(), at).unwrap();
    let tls = GateTls::new(&credential, ca.grants());
    // Whatever the system's clock says.
    tls.server_config(at, serials).unwrap()
}

fn operator(ca: &Ca, granted_at: UnixMillis, at: UnixMillis) -> Arc<ClientConfig> {
    let key = Arc::new(p256());
    let issued = ca.grant_for(&key, new_grant(), granted_at);
    let credential = Credential::new(vec![issued.certificate], key).unwrap();
    client_at(grant_client(&credential, &ca.roots(), &[b"h2"]).unwrap(), at)
}

fn all_known() -> Arc<dyn KnownSerials> {
    Arc::new(|_: &GrantCertificate| true)
}

#[test]
fn a_session_is_tls13_post_quantum_h2_and_never_resumed() {
    let ca = Ca::new(CaKind::Access);
    let (client, server) = (operator(&ca, NOW, NOW), gate(&ca, NOW, all_known()));
    for _ in 0..2 {
        let Ended { client, server } = connect(&client, &server, door()).unwrap();
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(server.negotiated_cipher_suite().unwrap().suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
        let group = server.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(client.tls13_tickets_received(), 0);
    }
}

#[test]
fn no_place_gives_tickets_keeps_sessions_or_takes_early_data() {
    let ca = Ca::new(CaKind::Access);
    let [broker, ..] = identities();
    let credential = ca.credential(&shape(&broker));
    let api = self_signed_api_server(&suffix(), &[], DAY, NOW).unwrap().to_server();
    let servers = [
        mesh_server(&credential, ca.mesh(), Role::Replica, &[b"postern/1"]).unwrap(),
        operator_api_server(&api, ca.operators(), &[b"h2"]).unwrap(),
        gate(&ca, NOW, all_known()),
    ];
    for server in servers {
        assert_eq!((server.send_tls13_tickets, server.max_early_data_size), (0, 0));
        assert!(!server.session_storage.can_cache());
        assert!(!server.ticketer.enabled());
        assert!(!server.send_half_rtt_data);
    }
    let roots = [credential.certificate().clone()];
    let clients = [
        mesh_client(&credential, ca.mesh(), &[b"postern/1"]).unwrap(),
        operator_client(&credential, &roots, &[b"h2"]).unwrap(),
        grant_client(&credential, &ca.roots(), &[b"h2"]).unwrap(),
    ];
    assert!(clients.iter().all(|client| !client.enable_early_data));
}

#[test]
fn an_expired_certificate_of_ours_completes_the_handshake() {
    let ca = Ca::new(CaKind::Access);
    let later = NOW.plus(20 * HOUR);
    let ended = connect(&operator(&ca, NOW, later), &gate(&ca, later, all_known()), door()).unwrap();
    let chain = ended.server.peer_certificates().unwrap();
    let certificate = ca.grants().verify(chain, later).unwrap();
    assert!(certificate.is_expired(later), "read again after the handshake");
}

#[test]
fn an_unknown_serial_gets_an_alert() {
    let ca = Ca::new(CaKind::Access);
    let known = ca.grant(new_grant(), NOW).serial;
    let serials = Arc::new(move |certificate: &GrantCertificate| certificate.serial == known);
    let error = refused(&operator(&ca, NOW, NOW), &gate(&ca, NOW, serials), door());
    assert!(error.contains("UnknownSerial"), "{error}");
}

#[test]
fn a_foreign_certificate_gets_an_alert_expired_or_not() {
    let (ca, foreign) = (Ca::new(CaKind::Access), Ca::new(CaKind::Access));
    for granted_at in [NOW, NOW.minus(10 * HOUR)] {
        let key = Arc::new(p256());
        let issued = foreign.grant_for(&key, new_grant(), granted_at);
        let credential = Credential::new(vec![issued.certificate], key).unwrap();
        let client = client_at(grant_client(&credential, &ca.roots(), &[b"h2"]).unwrap(), NOW);
        let error = refused(&client, &gate(&ca, NOW, all_known()), door());
        assert!(error.contains("UnknownIssuer"), "{error}");
    }
}

#[test]
fn the_time_that_the_gate_was_given_counts_and_not_the_systems() {
    let ca = Ca::new(CaKind::Access);
    // Long past for the system.
    let tomorrow = operator(&ca, NOW.plus(DAY), NOW);
    let error = refused(&tomorrow, &gate(&ca, NOW, all_known()), door());
    assert!(error.contains("NotValidYet"), "{error}");
}

#[test]
fn a_grant_certificate_is_no_use_without_its_key_or_with_intermediates() {
    let ca = Ca::new(CaKind::Access);
    let key = Arc::new(p256());
    let leaf = ca.grant_for(&key, new_grant(), NOW).certificate;
    let gate = gate(&ca, NOW, all_known());
    let showing = handshake::showing;
    assert!(connect(&showing(vec![leaf.clone()], Arc::clone(&key)), &gate, door()).is_ok());
    let stolen = refused(&showing(vec![leaf.clone()], Arc::new(p256())), &gate, door());
    assert!(stolen.contains("BadSignature"), "{stolen}");
    let more = refused(&showing(vec![leaf, ca.authority.certificate().clone()], key), &gate, door());
    assert!(more.contains("Count(2)"), "{more}");
}

#[test]
fn a_client_without_a_certificate_is_refused_everywhere() {
    let ca = Ca::new(CaKind::Access);
    let [broker, ..] = identities();
    let mesh = mesh_server(&ca.credential(&shape(&broker)), ca.mesh(), Role::Replica, &[b"h2"]).unwrap();
    let api = self_signed_api_server(&suffix(), &[], DAY, NOW).unwrap().to_server();
    let api = operator_api_server(&api, ca.operators(), &[b"h2"]).unwrap();
    for server in [mesh, api, gate(&ca, NOW, all_known())] {
        let error = refused(&handshake::anonymous(), &server_at(server, NOW), door());
        assert!(error.contains("NoCertificatesPresented"), "{error}");
    }
}

#[test]
fn tls12_is_refused() {
    let ca = Ca::new(CaKind::Access);
    let error = refused(&handshake::anonymous_tls12(), &gate(&ca, NOW, all_known()), door());
    assert!(error.contains("Tls12NotOffered"), "{error}");
}

#[test]
fn an_operator_refuses_another_clusters_gate() {
    let (ca, other) = (Ca::new(CaKind::Access), Ca::new(CaKind::Access));
    let error = refused(&operator(&ca, NOW, NOW), &gate(&other, NOW, all_known()), door());
    assert!(error.contains("UnknownIssuer"), "{error}");
    let elsewhere = ServerName::try_from("door.k3v7aaaaaa.tunnel.example").unwrap();
    let error = refused(&operator(&ca, NOW, NOW), &gate(&ca, NOW, all_known()), elsewhere);
    assert!(error.contains("Names"), "{error}");
}

#[test]
fn mesh_peers_know_each_other_by_role_not_by_name() {
    let ca = Ca::new(CaKind::Mesh);
    let [broker, replica, ..] = identities();
    let server = mesh_server(&ca.credential(&shape(&broker)), ca.mesh(), Role::Replica, &[b"p/1"]).unwrap();
    let server = server_at(server, NOW);
    let dial = |identity| {
        let config = mesh_client(&ca.credential(&shape(identity)), ca.mesh(), &[b"p/1"]).unwrap();
        client_at(config, NOW)
    };
    let anything = ServerName::try_from("anything.example").unwrap();
    assert!(connect(&dial(&replica), &server, anything.clone()).is_ok());
    assert!(refused(&dial(&broker), &server, anything.clone()).contains("WrongRole"));
    let posing = mesh_server(&ca.credential(&shape(&replica)), ca.mesh(), Role::Replica, &[b"p/1"]).unwrap();
    let error = refused(&dial(&replica), &server_at(posing, NOW), anything);
    assert!(error.contains("InvalidPurpose") || error.contains("WrongRole"), "{error}");
}

#[test]
fn a_broker_that_waits_for_peers_refuses_replicas() {
    let ca = Ca::new(CaKind::Mesh);
    let [broker, replica, ..] = identities();
    let server = mesh_server(&ca.credential(&shape(&broker)), ca.mesh(), Role::Broker, &[b"f/1"]).unwrap();
    let server = server_at(server, NOW);
    let dial = |identity| {
        let config = mesh_client(&ca.credential(&shape(identity)), ca.mesh(), &[b"f/1"]).unwrap();
        client_at(config, NOW)
    };
    let name = ServerName::try_from("b1.example").unwrap();
    assert!(connect(&dial(&broker), &server, name.clone()).is_ok());
    assert!(refused(&dial(&replica), &server, name).contains("WrongRole"));
}

#[test]
fn the_operators_api_refuses_grant_and_mesh_certificates() {
    let ca = Ca::new(CaKind::Operator);
    let api = self_signed_api_server(&suffix(), &[], DAY, NOW).unwrap();
    let roots = [api.certificate().clone()];
    let server = operator_api_server(&api.to_server(), ca.operators(), &[b"h2"]).unwrap();
    let server = server_at(server, NOW);
    let name = ServerName::try_from(suffix().api()).unwrap();
    for identity in identities() {
        let credential = ca.credential(&shape(&identity));
        let client = client_at(operator_client(&credential, &roots, &[b"h2"]).unwrap(), NOW);
        match identity.role() {
            Role::Operator => assert!(connect(&client, &server, name.clone()).is_ok()),
            Role::Broker | Role::Replica | Role::Grant => {
                let error = refused(&client, &server, name.clone());
                assert!(error.contains("WrongRole"), "{identity}: {error}");
            }
        }
    }
}

#[test]
fn an_operator_refuses_an_api_of_another_ca() {
    let ca = Ca::new(CaKind::Operator);
    let [_, _, operator, _] = identities();
    let api = self_signed_api_server(&suffix(), &[], DAY, NOW).unwrap();
    let server = operator_api_server(&api.to_server(), ca.operators(), &[b"h2"]).unwrap();
    let other = [self_signed_api_server(&suffix(), &[], DAY, NOW).unwrap().certificate().clone()];
    let client = operator_client(&ca.credential(&shape(&operator)), &other, &[b"h2"]).unwrap();
    let name = ServerName::try_from(suffix().api()).unwrap();
    refused(&client_at(client, NOW), &server_at(server, NOW), name);
    let none = operator_client(&ca.credential(&shape(&operator)), &[], &[b"h2"]);
    assert!(matches!(none, Err(TlsError::Roots)));
}

#[test]
fn another_protocol_is_refused() {
    let ca = Ca::new(CaKind::Access);
    let key = Arc::new(p256());
    let issued = ca.grant_for(&key, new_grant(), NOW);
    let credential = Credential::new(vec![issued.certificate], key).unwrap();
    let client = client_at(grant_client(&credential, &ca.roots(), &[b"http/1.1"]).unwrap(), NOW);
    let error = refused(&client, &gate(&ca, NOW, all_known()), door());
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn configurations_show_no_secret() {
    let ca = Ca::new(CaKind::Access);
    let credential = ca.authority.issue_gate_server(&label(), &suffix(), NOW).unwrap();
    let tls = GateTls::new(&credential, ca.grants());
    let shown = format!("{credential:?} {tls:?} {:?}", credential.to_server());
    assert!(shown.contains("Credential("));
    let pkcs8 = credential.key().to_pem();
    let secret = pkcs8.lines().nth(1).unwrap();
    assert!(!shown.contains(&secret[..12]));
}
