use std::{sync::Arc, time::Duration};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;
use tunnel_certs::{
    credential::{Credential, certificate_to_pem},
    issue::{Authority, CaKind, GrantTerms},
    key::{Algorithm, SigningKey},
};
use tunnel_protos::{Door, DoorName, Label, RequestId, Suffix, UnixMillis};

use super::*;
use crate::engine::{ConnectError, Connection, Endpoint};

/// An engine's TLS files and ours, of one CA.
struct World {
    folder: TempDir,
    ca: Authority,
    server: Credential,
    host: String,
}

fn world() -> World {
    let now = UnixMillis::from_system(std::time::SystemTime::now());
    let key = || Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    let ca = Authority::create(CaKind::Access, "engine", key(), now).unwrap();
    let (label, suffix): (_, Suffix) = (Label::from_random([1; 17]), "engine.example".parse().unwrap());
    let server = ca.issue_gate_server(&label, &suffix, now).unwrap();
    let host = DoorName { door: Door::from_random([1; 17]), label }.host(&suffix);
    let client = key();
    let ttl = Duration::from_secs(600);
    let terms = GrantTerms { label, grant: RequestId::random().into(), ttl, grant_end: now.plus(ttl) };
    let ours = ca.issue_grant(&client.csr().unwrap(), &terms, now).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("ca.pem", &certificate_to_pem(ca.certificate()));
    write("cert.pem", &certificate_to_pem(&ours.certificate));
    write("key.pem", &client.to_pem());
    World { folder, ca, server, host }
}

impl World {
    fn files(&self, mutual: bool) -> TlsFiles {
        let path = |name| self.folder.path().join(name);
        let identity = mutual.then(|| (path("cert.pem"), path("key.pem")));
        TlsFiles { ca: path("ca.pem"), identity, server_name: Some(self.host.clone()) }
    }

    /// An engine that demands a client certificate.
    fn acceptor(&self, alpn: &[&[u8]]) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.certificate().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let key = PrivateKeyDer::from_pem_slice(self.server.key().to_pem().as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![self.server.certificate().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// What connecting to that engine gives, and whether the engine took us.
    async fn connect(&self, files: &TlsFiles, alpn: &[&[u8]]) -> (Result<Connection, ConnectError>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint: Endpoint = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let engine = async {
            let (stream, _) = listener.accept().await.unwrap();
            self.acceptor(alpn).accept(stream).await.is_ok()
        };
        let toward = Toward::new(files.clone());
        tokio::join!(Connection::open(&endpoint, Some(&toward)), engine)
    }
}

#[tokio::test]
async fn mutual_tls_shows_the_profiles_certificate() {
    let world = world();
    let (connection, taken) = world.connect(&world.files(true), &[b"h2"]).await;
    assert!(matches!(connection, Ok(Connection::Tls(_))));
    assert!(taken);
}

#[tokio::test]
async fn an_engine_that_wants_a_certificate_and_gets_none_cuts() {
    let world = world();
    let (connection, taken) = world.connect(&world.files(false), &[b"h2"]).await;
    assert!(!taken);
    // In TLS 1.3 the refusal arrives with the first read.
    assert!(connection.unwrap().read_u8().await.is_err());
}

#[tokio::test]
async fn an_engine_of_another_ca_is_refused() {
    let (world, other) = (world(), world());
    let files = TlsFiles { ca: other.folder.path().join("ca.pem"), ..world.files(true) };
    let (connection, taken) = world.connect(&files, &[b"h2"]).await;
    assert!(matches!(connection, Err(ConnectError::Handshake(_))));
    assert!(!taken);
}

#[tokio::test]
async fn an_engine_of_another_name_is_refused() {
    let world = world();
    let files = TlsFiles { server_name: None, ..world.files(true) };
    let (connection, _) = world.connect(&files, &[b"h2"]).await;
    assert!(matches!(connection, Err(ConnectError::Handshake(_))));
}

#[tokio::test]
async fn an_engine_without_http2_is_refused() {
    let world = world();
    let (connection, _) = world.connect(&world.files(true), &[]).await;
    assert!(matches!(connection, Err(ConnectError::NotHttp2)));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let world = world();
    let missing = TlsFiles { ca: "/nowhere/ca.pem".into(), ..world.files(true) };
    let error = check(&missing, "host").unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/ca.pem");
    let empty = world.folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let empty = TlsFiles { ca: empty, ..world.files(true) };
    assert!(matches!(check(&empty, "host"), Err(TlsError::File { .. })));
    let unnamed = TlsFiles { server_name: Some("not a name".into()), ..world.files(true) };
    assert!(matches!(check(&unnamed, "host"), Err(TlsError::Name(_))));
}

#[test]
fn rotated_files_count_and_broken_ones_leave_those_before() {
    let world = world();
    let toward = Toward::new(world.files(true));
    let first = toward.client("engine").unwrap().0;
    assert!(Arc::ptr_eq(&toward.client("engine").unwrap().0, &first), "read once");
    let path = world.folder.path().join("cert.pem");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, "torn").unwrap();
    assert!(Arc::ptr_eq(&toward.client("engine").unwrap().0, &first));
    std::fs::write(&path, good).unwrap();
    assert!(!Arc::ptr_eq(&toward.client("engine").unwrap().0, &first));
    std::fs::write(&path, "torn").unwrap();
    assert!(Toward::new(world.files(true)).client("engine").is_err(), "nothing was read before");
}
