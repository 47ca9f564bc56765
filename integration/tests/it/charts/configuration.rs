//! The configurations and policies that the charts render are what the real programs take.

use std::path::Path;

use tunnel_integration::harness::{
    binaries,
    customer::{Ended, ended},
};

use super::{
    at, kind,
    render::{Case, cases, yaml},
};

/// The text of this name in a rendered ConfigMap.
pub(super) async fn file(case: &Case, name: &str) -> Option<String> {
    let objects = case.objects().await;
    let maps = objects.iter().filter(|object| kind(object) == "ConfigMap");
    let mut texts = maps.filter_map(|map| map["data"].get(name));
    texts.next().map(|text| text.as_str().unwrap().to_owned())
}

async fn run(program: &str, words: &[&str], config: &Path) -> Ended {
    let mut command = binaries::command(program, &[]).unwrap();
    command.args(words).arg("--config").arg(config);
    ended(command).await.unwrap()
}

#[tokio::test]
async fn a_key_that_no_program_knows_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new("tunnel-client", "minimal");
    let ended = case.run(&["--set", "config.surprise=1"]).await;
    let objects = ended.stdout.split("---\n").map(yaml).filter(|object| !object.is_null());
    let text =
        objects.filter_map(|object| at(&object, "data")["client.yaml"].as_str().map(str::to_owned)).next();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text.unwrap()).unwrap();
    let ended = run("tunnel-client", &["run", "--print-config"], &path).await;
    assert!(ended.code == Some(78) && ended.stderr.contains("surprise"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_client_takes_the_rendered_policy() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    for case in cases() {
        let Some(policy) = file(&case, "policy.yaml").await else { continue };
        let path = folder.path().join("policy.yaml");
        std::fs::write(&path, policy).unwrap();
        let mut command = binaries::command("tunnel-client", &[]).unwrap();
        command
            .args(["policy", "check"])
            .arg(&path)
            .arg("--profile")
            .arg(profiles.join("reference-engine.yaml"));
        let ended = ended(command).await.unwrap();
        assert_eq!(ended.code, Some(0), "{case:?}: {}{}", ended.stdout, ended.stderr);
    }
}
