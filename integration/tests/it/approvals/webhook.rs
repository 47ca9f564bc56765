//! The customer's webhook: told of a pending request with everything to decide by, signed, and never in the way.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use data_encoding::BASE64;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tunnel_certs::crypto;
use tunnel_integration::harness::{PATIENCE, wait::until};
use tunnel_protos::v1::RequestState;

use super::{Lab, RESTART};

const SECRET: [u8; 32] = [7; 32];

/// A receiver on a loopback port.
pub(crate) struct Receiver(TcpListener);

/// One message, as it came over the wire.
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Receiver {
    pub(crate) async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn yaml(&self, folder: &Path) -> String {
        let file = folder.join("webhook.secret");
        fs::write(&file, format!("whsec_{}", BASE64.encode(&SECRET))).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let address = self.0.local_addr().unwrap();
        format!("webhook: {{ url: \"http://{address}/postern\", secretFile: {} }}\n", file.display())
    }

    /// The next message, which still waits for its answer.
    async fn unanswered(&self) -> (TcpStream, Message) {
        let (mut stream, _) = timeout(PATIENCE, self.0.accept()).await.expect("a message").unwrap();
        let message = timeout(PATIENCE, read(&mut stream)).await.expect("a whole one");
        (stream, message)
    }

    /// The next message, answered with `status`.
    pub(crate) async fn next(&self, status: &str) -> Message {
        let (mut stream, message) = self.unanswered().await;
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        message
    }
}

async fn read(stream: &mut TcpStream) -> Message {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "cut off");
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let message = Message { head, body: bytes[end + 4..].to_vec() };
        if message.body.len() == message.header("content-length").parse::<usize>().unwrap() {
            return message;
        }
    }
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().unwrap_or_else(|| panic!("no {name}: {}", self.head)).1
    }

    pub(crate) fn is_signed(&self) -> bool {
        let start = format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp"));
        let mac = crypto::hmac_sha256(&SECRET, &[start.as_bytes(), &self.body].concat());
        self.header("webhook-signature") == format!("v1,{}", BASE64.encode(&mac))
    }
}

#[tokio::test]
async fn a_pending_request_is_told_signed_again_and_again_until_it_is_taken() {
    let receiver = Receiver::bind().await;
    let (mut plan, key, keys) = Lab::plan().await;
    plan.client.more = receiver.yaml(keys.path());
    let lab = Lab::of(plan.start().await.unwrap(), key, keys);
    // Asked and pending although nobody answers the webhook yet.
    let submitted = lab.ask().await;
    let first = receiver.next("503 Service Unavailable").await;
    let second = receiver.next("200 OK").await;
    assert!(first.is_signed() && second.is_signed(), "{}", first.head);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    let event: Value = serde_json::from_slice(&second.body).unwrap();
    let (text, words) = (event.to_string(), lab.words(&submitted).await);
    assert_eq!(event["specversion"], "1.0", "{event:#}");
    for part in [&*words, &submitted.request.id.to_string(), "ada", "a test of the whole way", "T-1", RESTART]
    {
        assert!(text.contains(part), "{part} is not told: {event:#}");
    }
    until("the customer sees that it was told", PATIENCE, || async {
        let shown = lab.customer.ask(&["show", &submitted.request.id.to_string()]).await?;
        anyhow::ensure!(shown["notified"][0]["time"].as_i64().is_some(), "{shown:#}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_no_decision_and_no_end() {
    let receiver = Receiver::bind().await;
    let (mut plan, key, keys) = Lab::plan().await;
    plan.client.more = receiver.yaml(keys.path());
    let mut lab = Lab::of(plan.start().await.unwrap(), key, keys);
    let submitted = lab.ask().await;
    let (mut hanging, told) = receiver.unanswered().await;
    let other = lab.ask().await;
    assert_eq!(lab.approve_by_key(&submitted).await.code, Some(0));
    lab.state(&submitted, RequestState::Approved).await;
    lab.restart(&submitted).await.unwrap();
    assert_eq!(lab.deny(&other).await.code, Some(0));
    lab.state(&other, RequestState::Denied).await;
    // Far less than its grace, with the attempt still open and nothing said by this side.
    let stopped = lab.world.drain_client(Duration::from_secs(3600));
    timeout(PATIENCE, stopped).await.expect("the drain ends").unwrap();
    assert_eq!(timeout(PATIENCE, hanging.read_u8()).await.unwrap().ok(), None);
    assert!(told.is_signed());
}
