//! Whole command lines against a broker's API and a gate on loopback, both with real TLS.

use std::path::Path;

use tunnel_certs::{credential::certificate_to_pem, file};
use tunnel_protos::{UnixMillis, v1::RequestState};

use self::stage::stage;
use super::*;
use crate::{
    surroundings::Clock,
    testing::{Cluster, Vendor},
};

mod administrators;
mod enrolling;
mod fetching;
mod keeping;
mod keeping_trust;
mod operating;
mod proxying;
mod rotating;
mod stage;
mod waiting;

#[tokio::test]
async fn an_operator_logs_in_connects_and_withdraws() {
    let stage = stage(RequestState::Approved).await;
    let login = stage.login("tunnel.example").await;
    assert_eq!(login.ending, Ending::OK, "{}", login.err);
    let clusters = stage.run(&["clusters"]).await;
    assert!(clusters.out.contains("acme/prod  aaaaaaaaaa  proven until"), "{}", clusters.out);
    let connect = stage.connect(&[]).await;
    assert_eq!(connect.ending, Ending::OK, "{}", connect.err);
    assert!(connect.out.contains(&format!(" {} a.B/C", stage.gate)), "{}", connect.out);
    let requests = stage.run(&["--output", "json", "requests"]).await;
    let request: serde_json::Value = serde_json::from_str(requests.out.trim()).unwrap();
    assert_eq!(request["state"], "active");
    assert!(connect.err.contains(request["words"].as_str().unwrap()), "{}", connect.err);
    let withdraw = stage.run(&["withdraw", request["id"].as_str().unwrap()]).await;
    assert_eq!(withdraw.ending, Ending::OK, "{}", withdraw.err);
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n");
    assert_eq!(std::fs::read_dir(stage.folders().runtime.join("default")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_denied_request_exits_3_and_leaves_nothing() {
    let stage = stage(RequestState::Denied).await;
    stage.login("tunnel.example").await;
    let connect = stage.connect(&["--output", "json"]).await;
    assert_eq!(connect.ending, Exit::Denied.into());
    assert!(connect.out.lines().last().unwrap().contains("\"event\":\"denied\""), "{}", connect.out);
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n");
}

#[tokio::test]
async fn an_undecided_request_exits_4_and_can_be_resumed() {
    let stage = stage(RequestState::Pending).await;
    stage.login("tunnel.example").await;
    let connect = stage.connect(&["--wait", "300ms"]).await;
    assert_eq!(connect.ending, Exit::Waiting.into(), "{}", connect.err);
    let requests = stage.run(&["requests", "--output", "json"]).await;
    let request: serde_json::Value = serde_json::from_str(requests.out.trim()).unwrap();
    let id = request["id"].as_str().unwrap();
    let call = stage.run(&["call", "acme/prod", "a.B/C", "--wait", "300ms"]).await;
    assert_eq!(call.ending, Exit::Waiting.into(), "{}", call.err);
    let resumed = stage.run(&["connect", "acme/prod", "--resume", id, "--wait", "300ms"]).await;
    assert_eq!(resumed.ending, Exit::Waiting.into(), "{}", resumed.err);
}

#[tokio::test]
async fn a_call_gets_access_once_and_reuses_it() {
    let stage = stage(RequestState::Approved).await;
    stage.login("tunnel.example").await;
    let method = "a.B/C";
    let call = stage.run(&["call", "acme/prod", method, "--reason", "look"]).await;
    // The gate's only service is reflection, so the method itself is unknown there.
    assert_eq!(call.ending, Exit::Failed.into(), "{}", call.err);
    let again = stage.run(&["call", "acme/prod", method]).await;
    assert!(again.err.contains("reflection"), "{}", again.err);
    let list = stage.run(&["call", "acme/prod", "list"]).await;
    assert_eq!(list.out, "grpc.reflection.v1.ServerReflection\n", "{}", list.err);
    let describe = stage.run(&["call", "acme/prod", "describe", "grpc.reflection.v1.ServerReflection"]).await;
    assert!(describe.out.starts_with("service grpc.reflection.v1.ServerReflection {"), "{}", describe.err);
    assert_eq!(stage.run(&["--output", "json", "requests"]).await.out.lines().count(), 1);
}

#[tokio::test]
async fn connect_writes_to_the_folder_asked_for() {
    let stage = stage(RequestState::Approved).await;
    stage.login("tunnel.example").await;
    let out = stage.path("here");
    let connect = stage.connect(&["--out", &out]).await;
    assert_eq!(connect.ending, Ending::OK, "{}", connect.err);
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        assert!(Path::new(&out).join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn a_login_with_another_suffix_is_refused() {
    let stage = stage(RequestState::Approved).await;
    let login = stage.login("other.example").await;
    assert_eq!(login.ending, Exit::Failed.into());
    assert!(login.err.contains("the suffix"), "{}", login.err);
    assert_eq!(stage.run(&["clusters"]).await.ending, Exit::Usage.into());
}

#[tokio::test]
async fn help_is_a_result_and_mistakes_are_not() {
    let stage = stage(RequestState::Approved).await;
    let help = stage.run(&["--help"]).await;
    assert_eq!((help.ending, help.err.as_str()), (Ending::OK, ""));
    let mistake = stage.run(&["connect"]).await;
    assert_eq!((mistake.ending, mistake.out.as_str()), (Exit::Usage.into(), ""));
    let completions = stage.run(&["completions", "bash"]).await;
    assert!(completions.out.contains("_tunnelctl"));
}

#[tokio::test]
async fn an_expired_identity_says_so() {
    let stage = stage(RequestState::Approved).await;
    let expired = Vendor::at(UnixMillis(Clock::system().now().0 - 24 * 3600 * 1000)).operator();
    let pem = certificate_to_pem(expired.credential.certificate());
    stage.login("tunnel.example").await;
    file::write(Path::new(&stage.path("op.pem")), pem.as_bytes()).unwrap();
    std::fs::remove_file(stage.path("op.key")).unwrap();
    expired.credential.key().save(Path::new(&stage.path("op.key"))).unwrap();
    let clusters = stage.run(&["clusters"]).await;
    assert_eq!(clusters.ending, Exit::Usage.into());
    assert!(clusters.err.contains("expired"), "{}", clusters.err);
}

#[tokio::test]
async fn a_gate_of_either_access_ca_is_taken_while_one_is_replaced() {
    let stage = stage(RequestState::Approved).await;
    stage.login("tunnel.example").await;
    let older = Cluster::new(&stage.vendor);
    stage.cluster.anchors.lock().push(older.access.certificate().clone());
    let connect = stage.connect(&[]).await;
    assert_eq!(connect.ending, Ending::OK, "{}", connect.err);
    let session = stage.folders().runtime.join("default").join(stage.only_request().await);
    let ca = std::fs::read_to_string(session.join("ca.pem")).unwrap();
    assert_eq!(ca.matches("BEGIN CERTIFICATE").count(), 2);
    let list = stage.run(&["call", "acme/prod", "list"]).await;
    assert_eq!(list.ending, Ending::OK, "{}", list.err);
}

#[tokio::test]
async fn the_policys_longest_time_is_said_where_more_was_asked_for() {
    let stage = stage(RequestState::Approved).await;
    stage.login("tunnel.example").await;
    let connect = stage.connect(&["--for", "30d"]).await;
    let said = "you asked for 30d; the customer's policy gives 30m at most";
    assert!(connect.err.contains(said), "{}", connect.err);
}
