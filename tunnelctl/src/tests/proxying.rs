//! `proxy` with real sockets: a client without TLS on one side, a gate with mutual TLS on the other.

use std::{future::pending, path::PathBuf, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::oneshot,
};
use tonic::transport::{Channel, Endpoint, Uri};
use tunnel_protos::v1::RequestState;
use tunnel_runtime::exit::Exit;

use super::stage::{Running, Stage, stage};
use crate::{Ending, call::list_services};

const PROXY: [&str; 8] = ["proxy", "acme/prod", "--reason", "look", "--method", "a.B/C", "--output", "json"];

async fn ready() -> Stage {
    let stage = stage(RequestState::Active).await;
    stage.login("tunnel.example").await;
    stage
}

fn socket(stage: &Stage) -> PathBuf {
    stage.folders().runtime.join("default/acme.prod.sock")
}

/// A client of the engine that knows nothing of certificates.
fn client(path: PathBuf) -> Channel {
    let connect = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect)
}

/// Does `work` while the proxy runs.
async fn during<T>(proxy: &mut Running, work: impl Future<Output = T>) -> T {
    tokio::select! {
        ending = &mut proxy.ending => panic!("{ending:?}: {}", proxy.err.text()),
        done = tokio::time::timeout(Duration::from_secs(20), work) => done.expect("in time"),
    }
}

async fn services(proxy: &mut Running, client: &Channel) -> Vec<String> {
    during(proxy, list_services(client.clone())).await.unwrap()
}

#[tokio::test]
async fn clients_without_certificates_reach_the_engine_until_the_proxy_stops() {
    let stage = ready().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut proxy = stage.start(&PROXY, Box::pin(async { stopped.await.unwrap() }));
    proxy.until("\"event\":\"listening\"").await;
    assert!(proxy.out.text().contains("grpcurl -plaintext unix://"), "{}", proxy.out.text());
    let clients = [client(socket(&stage)), client(socket(&stage))];
    for client in &clients {
        assert_eq!(services(&mut proxy, client).await, ["grpc.reflection.v1.ServerReflection"]);
    }
    stop.send(()).unwrap();
    drop(clients);
    let done = proxy.end().await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert!(!socket(&stage).exists());
}

#[tokio::test]
async fn a_renewed_certificate_takes_over_on_a_new_connection() {
    let stage = ready().await;
    stage.cluster.lives.lock().0 = Duration::from_secs(3);
    let mut proxy = stage.start(&PROXY, Box::pin(pending()));
    proxy.until("\"event\":\"listening\"").await;
    let client = client(socket(&stage));
    services(&mut proxy, &client).await;
    proxy.until("\"event\":\"renewed\"").await;
    // This client does not repeat a call that meets the GOAWAY of its idle connection; the next one must pass.
    let first = during(&mut proxy, list_services(client.clone())).await;
    if first.is_err() {
        services(&mut proxy, &client).await;
    }
    let serials = stage.serials.lock().clone();
    assert_ne!(serials.last(), serials.first(), "the new connection shows the renewed certificate");
}

#[tokio::test]
async fn a_revocation_ends_the_proxy() {
    let stage = ready().await;
    let mut proxy = stage.start(&PROXY, Box::pin(pending()));
    proxy.until("\"event\":\"listening\"").await;
    stage.say(RequestState::Revoked, "enough");
    let done = proxy.end().await;
    assert_eq!(done.ending, Exit::Denied.into());
    assert!(done.err.contains("revoked by the customer: enough"), "{}", done.err);
    assert!(!socket(&stage).exists());
}

#[tokio::test]
async fn a_port_is_for_this_machine_and_http1_is_told_so() {
    let stage = ready().await;
    let exposed = stage.run(&[&PROXY[..], &["--listen", "0.0.0.0:0"]].concat()).await;
    assert_eq!(exposed.ending, Exit::Usage.into(), "{}", exposed.err);
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n");
    let mut proxy = stage.start(&[&PROXY[..], &["--listen", "127.0.0.1:0"]].concat(), Box::pin(pending()));
    proxy.until("\"event\":\"listening\"").await;
    let said: serde_json::Value = serde_json::from_str(proxy.out.text().lines().last().unwrap()).unwrap();
    let place = said["place"].as_str().unwrap().to_owned();
    let answer = during(&mut proxy, async {
        let mut http1 = TcpStream::connect(place).await.unwrap();
        http1.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        // The rest of the request was never read, so the end may be a reset.
        let _ = http1.read_to_string(&mut answer).await;
        answer
    });
    assert!(answer.await.starts_with("HTTP/1.1 505"));
    proxy.until("a client spoke HTTP/1").await;
}

#[tokio::test]
async fn two_proxies_do_not_share_a_socket() {
    let stage = ready().await;
    let mut proxy = stage.start(&PROXY, Box::pin(pending()));
    proxy.until("\"event\":\"listening\"").await;
    let second = during(&mut proxy, stage.run(&PROXY)).await;
    assert_eq!(second.ending, Exit::Failed.into());
    assert!(second.err.contains("in use by another proxy"), "{}", second.err);
}
