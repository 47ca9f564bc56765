//! `tunnel-client profile check` against live engines: what fits, what does not, and how it ends.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;
use tunnel_integration::{
    engine_tls::EngineTls,
    etcd::{Etcd, Options},
    harness::{
        binaries,
        command::{Ended, ended},
        profile::Shipped,
    },
    reference_engine::{Options as EngineOptions, ReferenceEngine},
};

async fn profile(words: &[&str]) -> Ended {
    let mut command = binaries::command("tunnel-client", &[]).unwrap();
    command.arg("profile").args(words);
    ended(command).await.unwrap()
}

async fn check(folder: &Path) -> (Option<i32>, Value) {
    let path = folder.join("profile.yaml").display().to_string();
    let ended = profile(&["check", "--profile", &path, "--live", "--output", "json"]).await;
    (ended.code, serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}")))
}

fn written(shipped: Shipped, endpoint: &str, more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    shipped.write(folder.path(), &[("default".to_owned(), endpoint.to_owned())], &[], more).unwrap();
    folder
}

fn endpoint(engine: &tunnel_integration::reference_engine::Running) -> String {
    format!("http://{}", engine.addresses().h2c.unwrap())
}

fn problems(report: &Value) -> String {
    report["problems"].to_string()
}

#[tokio::test]
async fn the_shipped_profile_fits_the_reference_engine() {
    let data = tempfile::tempdir().unwrap();
    let engine = ReferenceEngine::build(EngineOptions::loopback(data.path())).unwrap().spawn().unwrap();
    let folder = written(Shipped::ReferenceEngine, &endpoint(&engine), "");
    let (code, report) = check(folder.path()).await;
    assert_eq!(code, Some(0), "{report:#}");
    let target = &report["targets"][0];
    assert_eq!(
        (&target["health"], &target["descriptors"]),
        (&"serving".into(), &"the same at the engine".into())
    );
    assert_eq!(report["notes"], Value::Array(Vec::new()), "everything is marked as it sounds");
    let storage = &report["components"][1];
    assert_eq!((&storage["component"], &storage["replicas"]), (&"storage".into(), &3.into()), "{report:#}");
    assert_eq!(storage["nodes"][2], serde_json::json!({ "name": "storage-2", "ready": true }));
}

#[tokio::test]
async fn the_descriptors_of_a_live_engine_make_a_profile() {
    let data = tempfile::tempdir().unwrap();
    let engine = ReferenceEngine::build(EngineOptions::loopback(data.path())).unwrap().spawn().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, set) = (folder.path().join("profile.yaml"), folder.path().join("own.protoset"));
    let text = |descriptors: &str| {
        format!("name: own\nendpoints: {{ default: \"{}\" }}\n{descriptors}", endpoint(&engine))
    };
    fs::write(&file, text("descriptors: reflection\nreadOnly: [engine.kv.v1.KV/Nothing]\n")).unwrap();
    let (code, report) = check(folder.path()).await;
    assert_eq!(code, Some(1), "{report:#}");
    assert!(problems(&report).contains("not at the engine: engine.kv.v1.KV/Nothing"), "{report:#}");
    let [file, set] = [&file, &set].map(|path| path.display().to_string());
    let ended = profile(&["descriptors", "--profile", &file, "--out", &set]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    fs::write(&file, text("descriptors: own.protoset\nreadOnly: [engine.kv.v1.KV/Get]\n")).unwrap();
    let (code, report) = check(folder.path()).await;
    assert_eq!((code, &report["problems"]), (Some(0), &Value::Array(Vec::new())), "{report:#}");
}

#[tokio::test]
async fn an_engine_of_another_kind_lacks_every_method_of_the_profile() {
    let data = tempfile::tempdir().unwrap();
    let engine = ReferenceEngine::build(EngineOptions::loopback(data.path())).unwrap().spawn().unwrap();
    let folder = written(Shipped::Etcd, &endpoint(&engine), "");
    let (code, report) = check(folder.path()).await;
    assert_eq!(code, Some(1), "{report:#}");
    for part in ["health: Unimplemented", "missing at the engine: etcdserverpb.KV/Range"] {
        assert!(problems(&report).contains(part), "{part}: {report:#}");
    }
    let differences = report["targets"][0]["differences"].to_string();
    assert!(differences.contains("only at the engine: engine.kv.v1.KV/Get"), "{report:#}");
}

#[tokio::test]
async fn an_engine_without_reflection_is_checked_for_all_else() {
    let data = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(&Options::loopback(data.path())).await.unwrap();
    let folder = written(Shipped::Etcd, &etcd.endpoint(), "");
    let (code, report) = check(folder.path()).await;
    assert_eq!(code, Some(0), "{report:#}");
    let target = &report["targets"][0];
    assert_eq!(target["health"], "serving");
    assert_eq!(target["descriptors"], "not compared: the engine serves no reflection");
}

#[tokio::test]
async fn every_wrong_target_is_told_at_once() {
    let data = tempfile::tempdir().unwrap();
    let files = EngineTls::create(data.path()).unwrap();
    let options = Options { tls: Some(files.mutual()), ..Options::loopback(data.path()) };
    let etcd = Etcd::start(&options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The engine's CA, but no certificate of ours: the engine must refuse us.
    let more = format!("credentials: {{ tls: {{ ca: {} }} }}\n", files.ca.display());
    let endpoints = [("one", etcd.endpoint()), ("two", "unix:/nowhere/engine.sock".to_owned())];
    let endpoints = endpoints.map(|(name, endpoint)| (name.to_owned(), endpoint));
    Shipped::Etcd.write(folder.path(), &endpoints, &[], &more).unwrap();
    let (code, report) = check(folder.path()).await;
    assert_eq!(code, Some(1), "{report:#}");
    assert_eq!(report["targets"][0]["tls"], true, "{report:#}");
    let problems = problems(&report);
    assert!(
        problems.contains("target one: health") && problems.contains("target two: cannot connect"),
        "{problems}"
    );
}

#[tokio::test]
async fn a_wrong_profile_ends_with_78_and_all_its_problems() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "{ name: own, endpoints: { default: nowhere, Two: 'http://a:1' }, readOnly: [x], surprise: 1 }";
    let path = folder.path().join("profile.yaml");
    fs::write(&path, text.replace(", surprise: 1", "")).unwrap();
    let ended = profile(&["check", "--profile", &path.display().to_string()]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    for part in ["endpoints.default", "endpoints.Two", "readOnly"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
    fs::write(&path, text).unwrap();
    let ended = profile(&["check", "--profile", &path.display().to_string()]).await;
    assert!(ended.code == Some(78) && ended.stdout.contains("surprise"), "{ended:?}");
}
