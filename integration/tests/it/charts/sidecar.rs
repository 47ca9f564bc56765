//! The sidecar never counts against its engine: no probe of its own, one engine pod, and it stays when it cannot run.

use std::fs;

use serde_json::json;
use tunnel_integration::harness::{PATIENCE, binaries, program::Program};

use super::{
    at, kind,
    render::{Case, cases},
};

#[tokio::test]
async fn the_sidecar_is_native_and_has_no_probes() {
    for case in cases().into_iter().filter(|case| case.chart == "example-engine") {
        let objects = case.objects().await;
        let engine = objects.iter().find(|object| kind(object) == "StatefulSet").unwrap();
        let sidecars = at(engine, "spec.template.spec.initContainers").as_array().unwrap();
        assert_eq!(sidecars.len(), 1);
        assert_eq!(sidecars[0]["restartPolicy"], json!("Always"));
        for probe in ["readinessProbe", "startupProbe", "livenessProbe"] {
            assert!(sidecars[0][probe].is_null(), "{case:?} {probe}");
        }
        assert_eq!(sidecars[0]["args"], json!(["run", "--stay"]));
    }
}

#[tokio::test]
async fn more_than_one_engine_pod_is_refused() {
    let case = Case::new("example-engine", "minimal");
    let ended = case.run(&["--set", "replicas=2"]).await;
    assert!(ended.code != Some(0) && ended.stderr.contains("one engine pod only"), "{}", ended.stderr);
    assert_eq!(case.run(&["--set", "replicas=0"]).await.code, Some(0));
}

/// Starts it as the sidecar does, with a configuration that is wrong.
fn misconfigured(folder: &std::path::Path) -> Program {
    fs::write(folder.join("client.yaml"), "surprise: 1\n").unwrap();
    let mut command = binaries::command("tunnel-client", &[]).unwrap();
    command.args(["run", "--stay", "--config"]).arg(folder.join("client.yaml"));
    Program::start("client", command, &folder.join("client.log")).unwrap()
}

#[tokio::test]
async fn a_sidecar_with_a_wrong_configuration_stays_and_tries_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = misconfigured(folder.path());
    let complained =
        |times| move |log: &str| (log.matches("surprise: unknown key").count() >= times).then_some(());
    // `says` fails as soon as the process ends.
    client.says("what is wrong", PATIENCE, complained(1)).await.unwrap();
    fs::write(folder.path().join("client.yaml"), "another: 1\n").unwrap();
    client
        .says("what is wrong now", PATIENCE, |log| log.contains("another: unknown key").then_some(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_sidecar_that_waits_ends_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = misconfigured(folder.path());
    client.says("what is wrong", PATIENCE, |log| log.contains("trying again").then_some(())).await.unwrap();
    assert!(client.stop(PATIENCE).await.unwrap().success());
}
