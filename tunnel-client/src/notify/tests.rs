//! The webhook against a real local HTTPS server that fails first, redirects, hangs, or talks too much.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tunnel_certs::words::Words;
use tunnel_protos::{
    Digest, RequestId,
    approvers::{AskedMethod, RequestView},
    operations::v1 as operations,
    v1::{Deadlines, OperationRequest, Reason, ReasonType},
};
use tunnel_runtime::drain;

mod stuck;

use super::*;
use crate::{config::WebhookEvent, requests::Glimpse};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Requests as the webhook sees them.
#[derive(Clone)]
struct Desk {
    views: Arc<Mutex<Vec<RequestView>>>,
    bell: watch::Sender<u64>,
    told: Arc<Mutex<Vec<(RequestId, String)>>>,
}

impl Source for Desk {
    fn changes(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    fn glimpses(&self) -> Vec<Glimpse> {
        let glimpse = |view: &RequestView| Glimpse {
            id: view.id.parse().unwrap(),
            state: view.state(),
            told: !view.notified.is_empty(),
        };
        self.views.lock().iter().rev().map(glimpse).collect()
    }

    fn view(&self, id: &RequestId) -> Option<RequestView> {
        self.views.lock().iter().find(|view| view.id == id.to_string()).cloned()
    }

    async fn notified(&self, id: RequestId, who: String, _: UnixMillis) {
        self.told.lock().push((id, who));
    }
}

fn desk() -> Desk {
    Desk { views: Arc::default(), bell: watch::Sender::new(0), told: Arc::default() }
}

impl Desk {
    fn ask(&self, view: RequestView) {
        self.views.lock().insert(0, view);
        self.bell.send_modify(|count| *count += 1);
    }
}

fn view(id: RequestId) -> RequestView {
    let reason = Reason {
        r#type: ReasonType::Incident.into(),
        text: "disk \u{1b}[31mfull\u{202e}".into(),
        ticket: "OPS-1".into(),
    };
    RequestView {
        id: id.to_string(),
        kind: "access".into(),
        state: RequestState::Pending.into(),
        words: "one two three four five six seven eight".into(),
        operator: "ann".into(),
        reason: Some(reason),
        methods: vec!["a.B/*".into()],
        asked: vec![AskedMethod { method: "a.B/Compact".into(), mutates: true, ..Default::default() }],
        targets: vec!["default".into()],
        deadlines: Some(Deadlines { pending_until_ms: 1_767_225_600_000, ..Default::default() }),
        wanted_ms: 60_000,
        work_window_ms: 3_600_000,
        ..Default::default()
    }
}

/// A receiver that answers attempt after attempt as it was told, then with 204.
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

async fn receiver(tls: Option<TlsAcceptor>, answers: &'static [&'static str]) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, got) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let (seen, attempts) = (got.clone(), AtomicUsize::new(0));
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answers.get(attempts.fetch_add(1, Ordering::Relaxed)).copied();
            let answer = answer.unwrap_or("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
            match &tls {
                None => serve(stream, answer, &seen).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, answer, &seen).await,
                    Err(_) => continue,
                },
            }
        }
    });
    Receiver { address, got, _server: server }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, got: &Mutex<Vec<String>>) {
    let mut text = Vec::new();
    while !is_whole(&text) {
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(count) if count > 0 => text.extend_from_slice(&part[..count]),
            _ => return,
        }
    }
    got.lock().push(String::from_utf8(text).unwrap());
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

struct World {
    desk: Desk,
    status: watch::Receiver<WebhookStatus>,
    awaited: watch::Sender<Option<Awaited>>,
    drain: drain::Drain,
    folder: tempfile::TempDir,
    task: JoinSet<()>,
}

fn start(url: &str, ca: Option<String>, format: WebhookFormat) -> World {
    start_with(url, ca, format, None)
}

/// With a patience of its own, if one is given.
fn start_with(url: &str, ca: Option<String>, format: WebhookFormat, patience: Option<Duration>) -> World {
    let folder = tempfile::tempdir().unwrap();
    let (secret_file, ca_file) = (folder.path().join("secret"), folder.path().join("ca.pem"));
    tunnel_certs::file::create_private(&secret_file, SECRET.as_bytes()).unwrap();
    let ca_file = ca.map(|pem| {
        std::fs::write(&ca_file, pem).unwrap();
        ca_file
    });
    let config = WebhookConfig {
        url: url.parse().unwrap(),
        secret_file,
        ca_file,
        headers: vec!["X-Routing: on-call".parse().unwrap()],
        events: vec![WebhookEvent::Request(RequestState::Pending), WebhookEvent::Enrollment],
        format,
    };
    let mut webhook =
        Webhook::new(&config, &"acme/prod".parse().unwrap(), Label::from_random([11; 17])).unwrap();
    webhook.client.patience = patience.unwrap_or(webhook.client.patience);
    let (desk, status, (signal, watch)) = (desk(), webhook.status(), drain::channel());
    let mut task = JoinSet::new();
    let awaited = watch::Sender::new(None);
    task.spawn(webhook.run(desk.clone(), awaited.subscribe(), watch));
    World { desk, status, awaited, drain: signal, folder, task }
}

fn server_tls() -> (TlsAcceptor, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let (issuer, key) = (Issuer::new(ca, ca_key), KeyPair::generate().unwrap());
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        );
    (TlsAcceptor::from(Arc::new(config.unwrap())), pem)
}

async fn eventually(reached: impl Fn() -> bool) {
    tunnel_runtime::eventually::eventually("it was told", Duration::from_secs(20), || {
        std::future::ready(reached())
    })
    .await;
}

fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let prefix = format!("{name}: ");
    message
        .lines()
        .find_map(|line| line.strip_prefix(&prefix[..]))
        .unwrap_or_else(|| panic!("{name} in {message}"))
}

fn is_signed_by(secret: &str, message: &str) -> bool {
    let body = message.split_once("\r\n\r\n").unwrap().1.as_bytes();
    let at = UnixMillis(header(message, "webhook-timestamp").parse::<i64>().unwrap() * 1000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    tunnel_certs::file::create_private(&path, secret.as_bytes()).unwrap();
    let signature = secret::read(&path).unwrap().sign(header(message, "webhook-id"), at, body);
    header(message, "webhook-signature") == signature
}

#[tokio::test]
async fn a_replaced_secret_signs_from_the_next_message_on_and_a_broken_one_leaves_it() {
    const NEXT: &str = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
    let receiver = receiver(None, &[]).await;
    let world = start(&format!("http://{}/", receiver.address), None, WebhookFormat::CloudEvents);
    let file = world.folder.path().join("secret");
    for (count, (written, counts)) in [(SECRET, SECRET), (NEXT, NEXT), ("no secret", NEXT)].iter().enumerate()
    {
        tunnel_certs::file::write_private(&file, written.as_bytes()).unwrap();
        world.desk.ask(view(RequestId::random()));
        eventually(|| receiver.got.lock().len() == count + 1).await;
        let told = receiver.got.lock()[count].clone();
        assert!(is_signed_by(counts, &told), "{written}: {told}");
    }
}

#[tokio::test]
async fn a_receiver_that_fails_first_is_told_again_and_signed_each_time() {
    let (tls, ca) = server_tls();
    let receiver = receiver(Some(tls), &["HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n"]).await;
    let world = start(
        &format!("https://localhost:{}/hook", receiver.address.port()),
        Some(ca),
        WebhookFormat::CloudEvents,
    );
    let id = RequestId::random();
    world.desk.ask(view(id));
    eventually(|| world.desk.told.lock().first().cloned() == Some((id, "customer".into()))).await;
    let got = receiver.got.lock().clone();
    assert_eq!(got.len(), 2, "one failure, one delivery");
    assert_eq!(header(&got[0], "webhook-id"), header(&got[1], "webhook-id"), "a repeat can be told");
    for message in &got {
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /hook HTTP/1.1") && head.contains("x-routing: on-call"), "{head}");
        assert!(is_signed_by(SECRET, message), "{head}");
    }
    let status = world.status.borrow().clone();
    assert!(
        status.last_error.is_empty() && status.last_success_ms > 0 && status.url.ends_with("/…"),
        "{status:?}"
    );
}

#[tokio::test]
async fn the_event_says_all_that_a_decision_needs_without_tricks() {
    let receiver = receiver(None, &[]).await;
    let world = start(&format!("http://{}/", receiver.address), None, WebhookFormat::CloudEvents);
    let id = RequestId::random();
    world.desk.ask(view(id));
    eventually(|| !world.desk.told.lock().is_empty()).await;
    let got = receiver.got.lock()[0].clone();
    let event: serde_json::Value = serde_json::from_str(got.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(
        (event["specversion"].as_str(), event["type"].as_str()),
        (Some("1.0"), Some("dev.postern.request.pending.v1"))
    );
    let data = &event["data"];
    assert_eq!(
        data["approve"],
        format!("tunnel-client approve {id} --words \"one two three four five six seven eight\"")
    );
    assert_eq!(data["reason"]["text"], "disk \\u{1b}[31mfull\\u{202e}");
    assert_eq!(data["methods"][0]["method"], "a.B/Compact");
    assert_eq!(data["methods"][0]["mutates"], true);
    assert_eq!(data["deadlines"]["answerUntil"], "2026-01-01T00:00:00Z");
    assert_eq!(data["deadlines"]["workForSeconds"], 60);
    assert!(header(&got, "content-type").starts_with("application/cloudevents+json"));
}

#[tokio::test]
async fn an_enrollment_that_waits_is_told_until_it_arrives_and_the_next_step_after_it() {
    let receiver = receiver(None, &["HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n"]).await;
    let world = start(&format!("http://{}/", receiver.address), None, WebhookFormat::CloudEvents);
    let events = || -> Vec<(String, String)> {
        let body = |message: &String| message.split_once("\r\n\r\n").unwrap().1.to_owned();
        let read = |message| serde_json::from_str::<serde_json::Value>(&body(message)).unwrap();
        let text = |event: &serde_json::Value, key: &str| event[key].as_str().unwrap().to_owned();
        let got = receiver.got.lock();
        got.iter().map(read).map(|event| (text(&event, "id"), text(&event, "type"))).collect()
    };
    world.awaited.send_replace(Some(Awaited::Registration(Words::of(&Digest::new([1; 32])))));
    eventually(|| events().len() == 2).await;
    world.awaited.send_replace(Some(Awaited::Entry(Digest::new([2; 32]))));
    eventually(|| events().len() == 3).await;
    let told = events();
    assert_eq!(told[0], told[1], "a repeat can be told");
    assert_eq!(told[1].1, "dev.postern.enrollment.registered.v1");
    assert_eq!(told[2].1, "dev.postern.enrollment.entry-waits.v1");
    let id = RequestId::random();
    world.desk.ask(view(id));
    eventually(|| world.desk.told.lock().first().is_some_and(|(told, _)| *told == id)).await;
}

#[tokio::test]
async fn slack_gets_a_text_that_mentions_nobody() {
    let receiver = receiver(None, &[]).await;
    let world = start(&format!("http://{}/", receiver.address), None, WebhookFormat::Slack);
    let mut view = view(RequestId::random());
    view.reason.as_mut().unwrap().text = "<!channel> `*look*`".into();
    world.desk.ask(view);
    eventually(|| !world.desk.told.lock().is_empty()).await;
    let got = receiver.got.lock()[0].clone();
    let body: serde_json::Value = serde_json::from_str(got.split_once("\r\n\r\n").unwrap().1).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("&lt;!channel&gt; ''look''") && !text.contains('<'), "{text}");
    assert!(text.contains("tunnel-client approve"), "{text}");
}

fn planned(id: RequestId, plan: u8) -> RequestView {
    let operation = operations::Plan {
        operation: "scale".into(),
        title: "Scale storage from 3 to <5> replicas".into(),
        risk: operations::RiskClass::Medium.into(),
        ..Default::default()
    };
    let running =
        operations::Operation { plan: Some(operation), plan_digest: vec![plan; 32], ..Default::default() };
    let asked = OperationRequest { dry_run: true, ..Default::default() };
    RequestView { kind: "operation".into(), operation: Some(asked), running: Some(running), ..view(id) }
}

#[tokio::test]
async fn an_operation_is_told_by_what_its_plan_does() {
    let receiver = receiver(None, &[]).await;
    let (cloud, slack) = (WebhookFormat::CloudEvents, WebhookFormat::Slack);
    for (format, told) in [(cloud, 1), (slack, 2)] {
        let world = start(&format!("http://{}/", receiver.address), None, format);
        world.desk.ask(planned(RequestId::random(), 1));
        eventually(|| receiver.got.lock().len() == told).await;
    }
    let bodies: Vec<_> = receiver.got.lock().iter().map(|got| body(got)).collect();
    let told = &bodies[0]["data"]["operation"];
    assert_eq!(
        (&told["kind"], &told["risk"], &told["dryRun"]),
        (&"scale".into(), &"medium".into(), &true.into())
    );
    assert_eq!(told["title"], "Scale storage from 3 to <5> replicas");
    assert!(
        bodies[1]["text"].as_str().unwrap().contains("Operation: Scale storage from 3 to &lt;5&gt; replicas")
    );
}

#[test]
fn another_plan_of_the_same_request_is_another_event() {
    let id = RequestId::random();
    let ids = [message::id(&planned(id, 1)), message::id(&planned(id, 2)), message::id(&view(id))];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] == format!("{id}-pending"));
}

fn body(got: &str) -> serde_json::Value {
    serde_json::from_str(got.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn redirects_are_not_followed_and_answers_are_not_read() {
    let elsewhere = receiver(None, &[]).await;
    let to =
        format!("HTTP/1.1 307 Go\r\nlocation: http://{}/\r\nconnection: close\r\n\r\n", elsewhere.address);
    let endless = format!("HTTP/1.1 500 No\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let answers: &'static [&'static str] = vec![&*to.leak(), &*endless.leak(), "garbage\r\n\r\n"].leak();
    let receiver = receiver(None, answers).await;
    let world = start(&format!("http://{}/", receiver.address), None, WebhookFormat::CloudEvents);
    world.desk.ask(view(RequestId::random()));
    let mut status = world.status.clone();
    status.wait_for(|status| status.last_error.contains("redirects (307)")).await.unwrap();
    status.wait_for(|status| status.last_error.contains("HTTP")).await.unwrap();
    assert!(!status.borrow().last_error.contains("yyyy"), "nothing of the receiver's is shown");
    assert!(elsewhere.got.lock().is_empty());
}

#[tokio::test]
async fn a_receiver_of_another_ca_gets_nothing() {
    let ((tls, _), (_, other_ca)) = (server_tls(), server_tls());
    let receiver = receiver(Some(tls), &[]).await;
    let world = start(
        &format!("https://localhost:{}/", receiver.address.port()),
        Some(other_ca),
        WebhookFormat::CloudEvents,
    );
    world.desk.ask(view(RequestId::random()));
    let mut status = world.status.clone();
    status.wait_for(|status| status.last_error.starts_with("TLS")).await.unwrap();
    assert!(receiver.got.lock().is_empty() && world.desk.told.lock().is_empty());
    assert_eq!(status.borrow().waiting, 1);
}

#[tokio::test]
async fn what_is_decided_while_the_receiver_is_down_is_not_told_any_more() {
    let receiver = receiver(None, &["HTTP/1.1 500 No\r\nconnection: close\r\n\r\n"; 2]).await;
    let world = start(&format!("http://{}/", receiver.address), None, WebhookFormat::CloudEvents);
    let (first, second) = (RequestId::random(), RequestId::random());
    world.desk.ask(view(first));
    let mut status = world.status.clone();
    status.wait_for(|status| !status.last_error.is_empty()).await.unwrap();
    world.desk.views.lock()[0].state = RequestState::Denied.into();
    world.desk.ask(view(second));
    eventually(|| !world.desk.told.lock().is_empty()).await;
    assert_eq!(world.desk.told.lock()[0].0, second);
    assert_eq!(world.desk.told.lock().len(), 1);
}
