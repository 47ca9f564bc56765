//! What anybody can send to a broker's TCP port: hellos, the operators' API, enrollment.

use std::sync::Arc;

use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tunnel_certs::{
    credential::{Credential, certificates_from_pem},
    crypto::random,
    tls::insecure_enroll_client,
};
use tunnel_integration::harness::{
    PATIENCE,
    alert::{Answer, answer},
    broker::{BrokerSettings, Listen},
    channel::Peer,
    counters::Counters,
    operator::Operator,
    program::Program,
    stranger,
    vendor::{Files, Vendor},
};
use tunnel_protos::{
    Door, DoorName, Label,
    operators::{BanRequest, WatchRequestRequest},
    v1::SealedRequest,
};

/// A broker that enrolls, alone.
pub(super) struct Site {
    pub(super) vendor: Vendor,
    pub(super) listen: Listen,
    pub(super) counters: Counters,
    pub(super) folder: TempDir,
    _broker: Program,
}

impl Site {
    pub(super) async fn open(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vendor = Vendor::create(&folder.path().join("vendor")).unwrap();
        let ip = std::net::Ipv4Addr::LOCALHOST.into();
        let mut settings =
            BrokerSettings::enrolling(&vendor, "b1", &folder.path().join("broker"), ip).unwrap();
        settings.more.push_str(more);
        let (broker, listen) = settings.spawn(folder.path(), &[]).await.unwrap();
        Self { vendor, listen, counters: Counters::at(listen.admin), folder, _broker: broker }
    }

    /// Sends bytes to the TCP port, and nothing more.
    async fn send(&self, bytes: &[u8]) {
        let mut stream = TcpStream::connect(self.listen.tcp).await.unwrap();
        // It may be refused before all is written.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("the broker hangs up");
    }

    /// The hello of a client that asks for `host` and offers `protocol`.
    fn hello(&self, host: &str, protocol: &str) -> Vec<u8> {
        let mut config = (*stranger::anonymous(&self.api_roots()).unwrap()).clone();
        config.alpn_protocols = vec![protocol.into()];
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        hello
    }

    fn api_roots(&self) -> Vec<rustls_pki_types::CertificateDer<'static>> {
        certificates_from_pem(&std::fs::read(self.vendor.api_ca_file()).unwrap()).unwrap()
    }

    /// Whoever shows these files at the operators' API.
    fn at_api(&self, files: Option<&Files>) -> Peer {
        let roots = self.api_roots();
        let shown = files.map(|files| Credential::load(&files.certificate, &files.key).unwrap());
        let tls = match shown {
            Some(own) => stranger::showing(&roots, vec![own.certificate().clone()], own.key()).unwrap(),
            None => stranger::anonymous(&roots).unwrap(),
        };
        let name = ServerName::try_from(self.vendor.suffix().api()).unwrap();
        Peer { address: self.listen.tcp, name, tls }
    }

    /// Sends a frame over TLS as for enrollment.
    async fn enroll(&self, frame: &[u8]) {
        let tls = insecure_enroll_client().unwrap();
        let name = ServerName::try_from("broker.tunnel.example").unwrap();
        let mut stream = Peer { address: self.listen.tcp, name, tls }.connect().await.unwrap();
        stream.write_all(frame).await.unwrap();
        stream.flush().await.unwrap();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("the broker hangs up");
    }
}

#[tokio::test]
async fn each_hello_that_leads_nowhere_is_counted() {
    let site = Site::open("").await;
    let api = site.vendor.suffix().api();
    let door =
        DoorName { door: Door::from_random(random::<17>()), label: Label::from_random(random::<17>()) }
            .host(site.vendor.suffix());
    let whole = site.hello(&api, "h2");
    let inputs = [
        ("not_tls", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("malformed", vec![22, 3, 1, 0, 0]),
        ("malformed", vec![22, 3, 1, 0, 4, 2, 0, 0, 0]),
        ("too_large", vec![22, 3, 1, 0x50, 0]),
        ("too_large", vec![22, 3, 1, 0, 4, 1, 0xff, 0, 0]),
        ("closed", whole[..whole.len() / 2].to_vec()),
        ("unknown_name", site.hello("api.other.example", "h2")),
        ("unknown_name", site.hello(&api, "spdy/3")),
        ("unknown_name", site.hello("nobody.tunnel.example", "h2")),
    ];
    for (result, input) in inputs {
        let series = format!("postern_broker_handshakes_total{{place=\"hello\",result=\"{result}\"}}");
        site.counters.moves(&series, site.send(&input)).await.unwrap();
    }
    let offline = "postern_broker_sessions_ended_total{reason=\"offline\"}";
    site.counters.moves(offline, site.send(&site.hello(&door, "h2"))).await.unwrap();
}

#[tokio::test]
async fn each_certificate_that_is_no_operators_is_counted() {
    let site = Site::open("").await;
    let strange = Vendor::create(&site.folder.path().join("other")).unwrap();
    let ada = "ada".parse().unwrap();
    let broker = site.vendor.broker(&"b2".parse().unwrap()).unwrap();
    let foreign = strange.operator(&ada).unwrap();
    let old = site.vendor.operator_at(&ada, tunnel_integration::harness::vendor::now().minus(PATIENCE * 900));
    let refused = "postern_broker_handshakes_total{place=\"api\",result=\"refused\"}";
    let shown = [
        ("none", None),
        ("a broker's", Some(broker)),
        ("another vendor's", Some(foreign)),
        ("one that is over", Some(old.unwrap())),
    ];
    for (whose, files) in shown {
        let answered = site.counters.moves(refused, answer(&site.at_api(files.as_ref()))).await;
        assert!(matches!(answered.unwrap().unwrap(), Answer::Alert(_) | Answer::Hung), "{whose}");
    }
}

#[tokio::test]
async fn each_request_that_the_api_refuses_is_counted() {
    let site = Site::open("").await;
    let ada = "ada".parse().unwrap();
    let files = site.vendor.operator(&ada).unwrap();
    let operator = Operator::new(&site.vendor, &files, &ada, site.listen.tcp).unwrap();
    let label = Label::from_random(random::<17>()).to_string();
    let sealed = |label: &str, key: usize, enc: usize, ciphertext: usize| SealedRequest {
        label: label.to_owned(),
        key_id: vec![1; key],
        enc: vec![1; enc],
        ciphertext: vec![1; ciphertext].into(),
    };
    for refused in [
        sealed("no label", 8, 32, 100),
        sealed(&label, 7, 32, 100),
        sealed(&label, 8, 31, 100),
        sealed(&label, 8, 32, 0),
        // All of it well-formed, and of no cluster here.
        sealed(&label, 8, 32, 100),
    ] {
        let series = "postern_broker_requests_total{result=\"refused\"}";
        let submitted = site.counters.moves(series, operator.submit_sealed(refused)).await.unwrap();
        submitted.unwrap_err();
    }
    let calls = |code| format!("postern_broker_api_calls_total{{code=\"{code}\"}}");
    // What no service sees is counted, too.
    let large = sealed(&label, 8, 32, 200 << 10);
    site.counters.moves(&calls("OUT_OF_RANGE"), operator.submit_sealed(large)).await.unwrap().unwrap_err();
    let watch = WatchRequestRequest { envelope_id: vec![1; 31] };
    let watched = site.counters.moves(&calls("INVALID_ARGUMENT"), operator.api().watch_request(watch)).await;
    watched.unwrap().unwrap_err();
    let mut administration = operator.administration();
    let denied = calls("PERMISSION_DENIED");
    let banned = site.counters.moves(&denied, administration.ban(BanRequest::default()));
    banned.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn each_ask_for_enrollment_that_is_none_is_counted() {
    let site = Site::open("").await;
    let malformed = "postern_broker_enrollments_total{kind=\"none\",result=\"malformed\"}";
    for frame in [&[0, 0, 0, 2, 0xff, 0xff][..], &[0, 0, 0, 0], &[0xff; 4]] {
        site.counters.moves(malformed, site.enroll(frame)).await.unwrap();
    }
    let refused = "postern_broker_handshakes_total{place=\"enroll\",result=\"refused\"}";
    let mut broken = site.hello("b.tunnel.example", "postern-enroll/1");
    // Where the server's answer is awaited.
    broken.extend(b"GET / HTTP/1.1\r\n\r\n");
    site.counters.moves(refused, site.send(&broken)).await.unwrap();
}

#[tokio::test]
async fn each_connection_beyond_a_bound_is_counted() {
    let site = Site::open("limits: { connections: { unrouted: 8 } }\n").await;
    let full = "postern_broker_refused_total{queue=\"unrouted\"}";
    let knocked = site.counters.moves(full, async {
        let mut waiting = Vec::new();
        for _ in 0..64 {
            waiting.push(TcpStream::connect(site.listen.tcp).await.unwrap());
        }
        waiting
    });
    assert_eq!(knocked.await.unwrap().len(), 64);
}
