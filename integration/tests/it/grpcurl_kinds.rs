//! The real grpcurl through the tunnel: each kind of call, and everything that comes along with one.

use std::{process::Stdio, time::Duration};

use data_encoding::BASE64;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::{Instant, timeout},
};
use tunnel_integration::harness::{
    PATIENCE,
    grpcurl::{Grpcurl, Ran},
    wait::until,
    world::{Plan, World},
};

/// An operator with a certificate for everything the policy grants at once, and grpcurl at hand.
struct Shell {
    world: World,
    grpcurl: Grpcurl,
    flags: Vec<String>,
}

impl Shell {
    async fn open() -> Self {
        let mut plan = Plan::new().unwrap();
        "metadata: [trace-context-bin]\n".clone_into(&mut plan.client.profile_more);
        let world = plan.start().await.unwrap();
        let pass = world.pass(METHODS).await.unwrap();
        let flags = pass.grpcurl_flags(world.folder()).unwrap();
        let grpcurl = Grpcurl::find().expect("grpcurl is not installed: run `make tools`");
        Self { world, grpcurl, flags }
    }

    fn arguments(&self, more: &[&str], method: &str) -> Vec<String> {
        let address = self.world.address().to_string();
        let method = format!("engine.admin.v1.{method}");
        let rest = ["-protoset", PROTOSET].into_iter().chain(more.iter().copied());
        let rest = rest.chain(["-d", "@", &address, &method]).map(str::to_owned);
        self.flags.iter().cloned().chain(rest).collect()
    }

    async fn run(&self, more: &[&str], method: &str, input: &str) -> Ran {
        let arguments = self.arguments(more, method);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.grpcurl.run(&arguments, input).await.unwrap()
    }

    async fn call(&self, method: &str, input: &str) -> Vec<Value> {
        messages(&self.run(&["-max-time", "15"], method, input).await)
    }

    async fn no_session_is_left(&self) {
        until("no session is left", PATIENCE, || async {
            let open = self.world.approver().status().await?.sessions_open;
            anyhow::ensure!(open == 0, "{open} open");
            Ok(())
        })
        .await
        .unwrap();
    }
}

fn messages(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let messages = serde_json::Deserializer::from_str(&ran.stdout).into_iter();
    messages.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_unary_call_is_answered() {
    let shell = Shell::open().await;
    assert_eq!(shell.call("Admin/GetStatus", "{}").await[0]["healthy"], true);
}

#[tokio::test]
async fn a_server_stream_comes_whole() {
    let shell = Shell::open().await;
    let progress = shell.call("Admin/RunTask", r#"{"task":"TASK_CHECK"}"#).await;
    assert!(progress.len() >= 4, "{progress:?}");
    assert_eq!(progress.last().unwrap()["finished"], true);
}

#[tokio::test]
async fn a_client_stream_comes_whole() {
    let shell = Shell::open().await;
    let input = r#"{"discard":true}"#.to_owned() + &r#"{"data":"AAECAwQF"}"#.repeat(100);
    assert_eq!(shell.call("Admin/Import", &input).await[0]["bytes"], "600");
}

#[tokio::test]
async fn each_message_of_a_bidirectional_stream_is_answered() {
    let shell = Shell::open().await;
    let input: String = (1..=10).map(|n| format!(r#"{{"sequence":{n},"ping":"cGluZw=="}}"#)).collect();
    let answers = shell.call("Admin/Session", &input).await;
    let sequences: Vec<_> = answers.iter().map(|answer| answer["sequence"].as_str().unwrap()).collect();
    assert_eq!(sequences, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    assert!(answers.iter().all(|answer| answer["pong"] == "cGluZw=="), "{answers:?}");
}

#[tokio::test]
async fn status_message_and_trailers_of_the_engine_are_shown() {
    let shell = Shell::open().await;
    let input = r#"{"status":8,"statusMessage":"nothing left","trailers":[{"name":"x-engine-trailer","value":"kept"}]}"#;
    let ran = shell.run(&["-v", "-max-time", "15"], "Admin/DescribeCall", input).await;
    assert_eq!(ran.code(), Some(RESOURCE_EXHAUSTED), "{ran:?}");
    assert!(ran.stderr.contains("nothing left"), "{ran:?}");
    assert!(ran.stdout.contains("x-engine-trailer: kept"), "{ran:?}");
}

#[tokio::test]
async fn a_refusal_of_the_gate_comes_with_its_details() {
    let shell = Shell::open().await;
    let ran = shell.run(&["-max-time", "15"], "Admin/Upgrade", "{}").await;
    assert_eq!(ran.code(), Some(PERMISSION_DENIED), "{ran:?}");
    assert!(ran.stderr.contains("tunnelctl connect"), "says what to do: {ran:?}");
    // This grpcurl knows no ErrorInfo and prints its bytes.
    assert!(ran.stderr.contains("type.googleapis.com/google.rpc.ErrorInfo"), "{ran:?}");
    let value = ran.stderr.lines().find_map(|line| line.split_once("\"@value\": \"")).expect("the bytes").1;
    let details = BASE64.decode(value.trim_end_matches(['"', ',']).as_bytes()).unwrap();
    assert!(String::from_utf8_lossy(&details).contains("METHOD_NOT_GRANTED"), "{ran:?}");
}

#[tokio::test]
async fn binary_metadata_reaches_the_engine() {
    let shell = Shell::open().await;
    let header = ["-H", "trace-context-bin: AP+AB/8=", "-max-time", "15"];
    let ran = shell.run(&header, "Admin/DescribeCall", "{}").await;
    let described = messages(&ran);
    let seen = described[0]["metadata"].as_array().unwrap();
    let value = seen.iter().find(|header| header["name"] == "trace-context-bin").expect("the header");
    assert!(value["value"].as_str().unwrap().starts_with("AP+AB/8"), "{value:?}");
}

#[tokio::test]
async fn max_time_ends_a_hanging_call() {
    let shell = Shell::open().await;
    let start = Instant::now();
    let ran = shell.run(&["-max-time", "1"], "Faults/Hang", "{}").await;
    assert_eq!(ran.code(), Some(DEADLINE_EXCEEDED), "{ran:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    shell.no_session_is_left().await;
}

#[tokio::test]
async fn killing_grpcurl_ends_its_session() {
    let shell = Shell::open().await;
    let mut child = Command::new(shell.grpcurl.path())
        .args(shell.arguments(&[], "Faults/Stall"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    timeout(PATIENCE, output.next_line()).await.expect("a message in time").unwrap().expect("a message");
    assert_eq!(shell.world.approver().status().await.unwrap().sessions_open, 1);
    child.kill().await.unwrap();
    shell.no_session_is_left().await;
}

const METHODS: &[&str] = &[
    "engine.admin.v1.Admin/GetStatus",
    "engine.admin.v1.Admin/RunTask",
    "engine.admin.v1.Admin/Import",
    "engine.admin.v1.Admin/Session",
    "engine.admin.v1.Admin/DescribeCall",
    "engine.admin.v1.Faults/*",
];
const PROTOSET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/reference-engine.protoset");
const DEADLINE_EXCEEDED: i32 = 4;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
