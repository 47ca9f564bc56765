//! What an operator, or somebody who would like to be one, can send to a gate through an honest broker.

use bytes::Bytes;
use http::{HeaderName, Method, Request};
use tokio::{io::AsyncWriteExt as _, time::timeout};
use tunnel_certs::{credential::Credential, crypto::random};
use tunnel_integration::harness::{
    PATIENCE,
    alert::{Answer, answer},
    channel::Peer,
    operator::Pass,
    stranger,
    world::Plan,
};
use tunnel_protos::{Door, DoorName};

use crate::children::Children;

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";

/// A request as gRPC asks for it.
fn call(pass: &Pass, path: &str) -> Request<()> {
    Request::post(format!("https://{}{path}", pass.host))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

fn with(mut request: Request<()>, name: &'static str, value: &str) -> Request<()> {
    request.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    request
}

/// Makes one call in a session of its own; what came of it shows elsewhere.
async fn make(pass: &Pass, request: Request<()>) {
    let stream = pass.peer().unwrap().connect().await.unwrap();
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let (response, mut body) = send.send_request(request, false).unwrap();
    // It may be refused before its message comes.
    let _ = body.send_data(Bytes::from_static(&[0; 5]), true);
    tokio::select! {
        answered = timeout(PATIENCE, response) => drop(answered.expect("no answer")),
        _ended = connection => {}
    }
}

#[tokio::test]
async fn each_handshake_that_proves_no_grant_is_counted() {
    let children = Children::start(Plan::new().unwrap()).await;
    let (world, client) = (&children.world, children.client_counters());
    let (mine, other) = (world.pass(&[STATUS]).await.unwrap(), world.pass(&[STATUS]).await.unwrap());
    let own = mine.peer().unwrap();
    let identity = world.vendor.operator(&"ada".parse().unwrap()).unwrap();
    let identity = Credential::load(&identity.certificate, &identity.key).unwrap();
    let anchors = mine.anchors.certificates();
    let shows = |chain, key| Peer { tls: stranger::showing(anchors, chain, key).unwrap(), ..own.clone() };
    let grant = mine.credential.certificate();
    let mut without_alpn = (*own.tls).clone();
    without_alpn.alpn_protocols.clear();
    let peers = [
        ("no certificate", Peer { tls: stranger::anonymous(anchors).unwrap(), ..own.clone() }),
        ("an operator's identity", shows(vec![identity.certificate().clone()], identity.key())),
        ("an intermediate", shows(vec![grant.clone(), grant.clone()], mine.credential.key())),
        ("another grant's door", mine.peer_as(&other.host, &mine.credential).unwrap()),
        ("no protocol", Peer { tls: without_alpn.into(), ..own.clone() }),
    ];
    for (what, peer) in peers {
        let failed = "postern_client_gate_handshakes_total{result=\"failed\"}";
        let answered = client.moves(failed, answer(&peer)).await.unwrap_or_else(|e| panic!("{what}: {e:#}"));
        assert_ne!(answered.unwrap(), Answer::Served, "{what}");
    }
    let nowhere = DoorName { door: Door::from_random(random::<17>()), label: world.client_settings.label };
    let nowhere = mine.peer_as(&nowhere.host(world.vendor.suffix()), &mine.credential).unwrap();
    let unknown = "postern_broker_sessions_ended_total{reason=\"unknown_door\"}";
    children.broker_counters().moves(unknown, answer(&nowhere)).await.unwrap().unwrap();
}

#[tokio::test]
async fn each_call_that_is_refused_is_counted() {
    let children = Children::start(Plan::new().unwrap()).await;
    let client = children.client_counters();
    let pass = children.world.pass(&[STATUS]).await.unwrap();
    let path = format!("/{STATUS}");
    let plain = || call(&pass, &path);
    let mut get = plain();
    *get.method_mut() = Method::GET;
    let mut no_te = plain();
    no_te.headers_mut().remove("te");
    let shape = "postern_client_refusals_total{reason=\"NOT_A_GRPC_CALL\"}";
    let not_granted = "postern_client_refusals_total{reason=\"METHOD_NOT_GRANTED\"}";
    for (series, request) in [
        (shape, get),
        (shape, no_te),
        (shape, call(&pass, "/one/two/three")),
        (shape, call(&pass, &format!("{path}?query=1"))),
        (shape, with(plain(), "content-type", "application/json")),
        (shape, with(plain(), "content-type", "application/grpc-web")),
        (shape, with(plain(), "grpc-timeout", "soon")),
        (not_granted, call(&pass, "/engine.admin.v1.Admin/Echo")),
        (not_granted, call(&pass, "/engine.admin.v1.Admin/getstatus")),
    ] {
        let refused = "postern_client_calls_total{class=\"refused\",code=\"PERMISSION_DENIED\"}";
        client.moves(refused, client.moves(series, make(&pass, request))).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn each_session_that_breaks_http2_is_counted() {
    let children = Children::start(Plan::new().unwrap()).await;
    let client = children.client_counters();
    let pass = children.world.pass(&[STATUS]).await.unwrap();
    let garbage: [(&str, &[u8]); 3] = [
        ("no preface", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (
            "a frame that is too long",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\xff\xff\xff\x00\0\0\0\0\x01",
        ),
        (
            "a stream that is none",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x00\0\0\0\0\x07",
        ),
    ];
    for (what, bytes) in garbage {
        let ended = "postern_client_sessions_ended_total{reason=\"broken\"}";
        let sent = client.moves(ended, async {
            let mut stream = pass.peer().unwrap().connect().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.flush().await.unwrap();
            stream
        });
        sent.await.unwrap_or_else(|error| panic!("{what}: {error:#}"));
    }
}
