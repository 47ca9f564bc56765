//! The configurations and policies that the charts render are what the real programs take.

use std::path::Path;

use serde_json::Value;
use tunnel_integration::harness::{
    binaries,
    command::{Ended, ended},
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
async fn the_programs_take_the_rendered_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for case in cases() {
        let client = (file(&case, "client.yaml").await, "tunnel-client", &["run", "--print-config"][..]);
        let broker = (file(&case, "broker.yaml").await, "tunnel-broker", &["--print-config"][..]);
        for (text, program, words) in [client, broker] {
            let Some(text) = text else { continue };
            let path = folder.path().join("config.yaml");
            std::fs::write(&path, &text).unwrap();
            let ended = run(program, words, &path).await;
            assert_eq!(ended.code, Some(0), "{case:?}: {}\n{text}", ended.stderr);
            // What is printed is what was meant: all that the chart says comes back.
            is_within(&yaml(&text), &yaml(&ended.stdout), "");
        }
    }
}

/// Everything of `given` is in `effective`.
fn is_within(given: &Value, effective: &Value, path: &str) {
    match given {
        Value::Object(map) => {
            for (key, value) in map {
                is_within(value, &effective[key], &format!("{path}.{key}"));
            }
        }
        // An empty list is shown as nothing.
        Value::Array(list) if list.is_empty() => assert!(effective.is_null(), "{path}"),
        given => {
            let (given, shown) = (plain(given), plain(effective));
            // The end of a webhook's address may be a secret and is masked.
            let same = shown.strip_suffix('…').map_or(given == shown, |start| given.starts_with(start));
            assert!(same, "{path}: {given} is shown as {shown}");
        }
    }
}

/// Spans may be printed in other units, numbers as text, names of headers in small letters.
fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned).to_lowercase();
    humantime::parse_duration(&text).map_or(text, |span| format!("{span:?}"))
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

/// Every command line of every pod is understood to its end: help is asked for after all of it.
#[tokio::test]
async fn containers_run_commands_that_the_programs_know() {
    for case in cases() {
        for object in case.objects().await {
            for container in containers(&object) {
                let image = container["image"].as_str().unwrap().rsplit('/').next().unwrap();
                let command = container["command"][0].as_str().map(|path| path.trim_start_matches('/'));
                let program = command.unwrap_or_else(|| image.split([':', '@']).next().unwrap());
                let words =
                    container["args"].as_array().into_iter().flatten().map(|word| word.as_str().unwrap());
                let mut command = binaries::command(program, &[]).unwrap();
                command.args(words).arg("--help");
                let ended = ended(command).await.unwrap();
                assert_eq!(ended.code, Some(0), "{case:?} {program}: {}", ended.stderr);
            }
        }
    }
}

fn containers(object: &Value) -> Vec<Value> {
    let specs = ["spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec"];
    let of = |list: &str| {
        let found = specs.iter().filter_map(|spec| at(object, spec)[list].as_array().cloned());
        found.flatten().collect::<Vec<_>>()
    };
    [of("initContainers"), of("containers")].concat()
}
