use std::sync::Arc;

use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;
use tunnel_certs::{credential::certificates_from_pem, issue::self_signed_api_server};
use tunnel_protos::UnixMillis;
use tunnel_runtime::doctor::Verdict;

use super::{papers, tls};
use crate::testing::{Vendor, hall::now, operators};

/// A TLS server with an ordinary certificate.
async fn server(tasks: &mut JoinSet<()>) -> std::net::SocketAddr {
    let vendor = Vendor::at(now());
    let life = std::time::Duration::from_secs(3600);
    let credential = self_signed_api_server(&"tunnel.example".parse().unwrap(), &[], life, now()).unwrap();
    let config =
        tunnel_certs::tls::operator_api_server(&credential.to_server(), operators(&vendor), &[b"h2"])
            .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let _refused = TlsAcceptor::from(Arc::clone(&config)).accept(tcp).await;
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_where_a_door_should_be_is_an_interception() {
    let mut tasks = JoinSet::new();
    let address = server(&mut tasks).await;
    let shown = tls::look(address, "x.aaaaaaaaaa.tunnel.example").await;
    assert_eq!(shown.chain.len(), 1);
    let finding = tls::door("a door".into(), &shown);
    assert_eq!(finding.verdict, Verdict::Bad);
    assert!(finding.advice.contains("intercepted"), "{finding:?}");
}

#[tokio::test]
async fn who_answers_instead_of_the_api_is_shown() {
    let mut tasks = JoinSet::new();
    let address = server(&mut tasks).await;
    let shown = tls::look(address, "api.tunnel.example").await;
    let right = tls::refused("TLS".into(), "unknown issuer", &shown, "api.tunnel.example");
    assert!(
        right.seen.contains("api.tunnel.example") && right.advice.contains("the name is right"),
        "{right:?}"
    );
    let other = tls::refused("TLS".into(), "bad name", &shown, "api.other.example");
    assert!(other.advice.contains("another name"), "{other:?}");
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            drop(tcp);
        }
    });
    let finding = tls::door("a door".into(), &tls::look(address, "x.tunnel.example").await);
    assert_eq!(finding.verdict, Verdict::Bad);
    assert!(finding.advice.contains("ends the connection"), "{finding:?}");
}

#[test]
fn clocks_that_are_minutes_apart_are_wrong() {
    let verdict =
        |off: i64| papers::clock(UnixMillis(10_000_000), Some(UnixMillis(10_000_000 + off))).verdict;
    assert_eq!(verdict(1_000), Verdict::Good);
    assert_eq!(verdict(-60_000), Verdict::Doubtful);
    assert_eq!(verdict(300_000), Verdict::Bad);
    assert_eq!(papers::clock(UnixMillis(0), None).verdict, Verdict::Good);
}

#[test]
fn no_entry_is_no_trouble() {
    assert_eq!(papers::inventory(&[], UnixMillis(0)).verdict, Verdict::Good);
    assert!(certificates_from_pem(b"").is_err());
}
