//! The sidecar never counts against its engine: no probe of its own, one engine pod, and it stays when it cannot run.

use std::{fs, path::Path};

use serde_json::json;
use tunnel_integration::harness::{
    PATIENCE, approver::Approver, binaries, client::ClientSettings, program::Program, vendor::Vendor,
    wait::until,
};

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

/// A client that is started as the sidecar is, with a configuration that is wrong; what it complains of goes to its log.
async fn misconfigured(folder: &Path) -> (ClientSettings, Program) {
    let vendor = Vendor::create(&folder.join("vendor")).unwrap();
    let mut settings = ClientSettings::of(&vendor, "acme/prod", &folder.join("customer")).unwrap();
    settings.endpoints = vec![("default".to_owned(), "http://127.0.0.1:1".to_owned())];
    settings.brokers = vec![([127, 0, 0, 1], 9).into()];
    settings.export_keys(&vendor).await.unwrap();
    fs::write(settings.file(), "surprise: 1\n").unwrap();
    let mut command = binaries::command("tunnel-client", &[]).unwrap();
    command.args(["run", "--stay", "--config"]).arg(settings.file());
    let mut client = Program::start("client", command, &folder.join("client.log")).unwrap();
    let told = |output: &str| output.contains("surprise: unknown key").then_some(());
    client.says("what is wrong", PATIENCE, told).await.unwrap();
    (settings, client)
}

#[tokio::test]
async fn a_sidecar_with_a_wrong_configuration_stays_and_runs_once_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, mut client) = misconfigured(folder.path()).await;
    let approver = Approver::new(&settings.socket());
    assert!(approver.status().await.is_err(), "it runs");
    settings.write().unwrap();
    until("it runs", PATIENCE, || approver.status()).await.unwrap();
    assert!(client.stop(PATIENCE).await.unwrap().success());
}

#[tokio::test]
async fn a_sidecar_that_waits_ends_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (_settings, mut client) = misconfigured(folder.path()).await;
    assert!(client.stop(PATIENCE).await.unwrap().success());
}
