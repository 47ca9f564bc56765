//! A watch is a bidirectional stream that stays open, in etcd even after the caller's half: it must show a change
//! made while it is open.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{Caller, Lab, messages};

/// A grpcurl whose input is still open.
struct Conversation {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    fn start(caller: &Caller, method: &str) -> Self {
        let mut child = Command::new(caller.grpcurl.path())
            .args(caller.arguments(method, "@"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _child: child, input, output: BufReader::new(output).lines() }
    }

    async fn say(&mut self, message: &str) {
        self.input.write_all(message.as_bytes()).await.unwrap();
    }

    /// The next message; grpcurl ends each with a brace in the first column.
    async fn hear(&mut self) -> Value {
        let mut message = String::new();
        while !message.ends_with("\n}") {
            let line = timeout(Duration::from_secs(15), self.output.next_line()).await;
            message = message + "\n" + &line.expect("a message in time").unwrap().expect("an open stream");
        }
        serde_json::from_str(&message).unwrap()
    }
}

#[tokio::test]
async fn a_watch_shows_a_change_made_while_it_is_open() {
    let lab = Lab::start().await;
    let caller = lab.caller(&["etcdserverpb.Watch/Watch", "etcdserverpb.KV/Put"]).await;
    let mut watch = Conversation::start(&caller, "etcdserverpb.Watch/Watch");
    watch.say(r#"{"create_request":{"key":"a2V5"}}"#).await;
    assert_eq!(watch.hear().await["created"], true);
    messages(&caller.call("etcdserverpb.KV/Put", r#"{"key":"a2V5","value":"dmFsdWU="}"#).await);
    assert_eq!(watch.hear().await["events"][0]["kv"]["value"], "dmFsdWU=");
    watch.say(r#"{"cancel_request":{"watch_id":0}}"#).await;
    assert_eq!(watch.hear().await["canceled"], true);
}
