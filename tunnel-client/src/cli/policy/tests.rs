use clap::Parser;

use super::*;
use crate::cli::{Cli, Task};

fn run(arguments: &[&str]) -> (String, Exit) {
    let Task::Policy(task) = Cli::parse_from(arguments).into_task() else { panic!("another task") };
    task.run(|_| panic!("no configuration is needed")).unwrap()
}

fn written(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, text).unwrap();
    let name = file.display().to_string();
    (folder, name)
}

const POLICY: &str = "version: 1\naccess:\n  - { methods: [\"e.Admin/Drop\"], approval: deny }\n  \
                      - { methods: [\"e.Admin/Get\"], approval: auto, limits: { streams: 2 } }\n";

#[test]
fn check_names_all_errors_with_their_places_and_ends_with_78() {
    let (_folder, file) = written("version: 2\nsurprise: 1\n");
    let (said, exit) = run(&["tunnel-client", "policy", "check", &file]);
    assert_eq!(exit, Exit::Config);
    assert!(said.contains(":1:10: version") && said.contains(":2:1: surprise"), "{said}");
    let (json, _) = run(&["tunnel-client", "policy", "check", &file, "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["errors"].as_array().unwrap().len(), 2);
}

#[test]
fn check_warns_of_what_mutates_without_a_person() {
    let (_folder, file) = written(POLICY);
    let (said, exit) = run(&["tunnel-client", "policy", "check", &file]);
    assert_eq!(exit, Exit::Ok);
    assert!(said.contains("access rule 2 allows e.Admin/Get without a person"), "{said}");
}

#[test]
fn explain_names_rule_level_and_limits() {
    let (_folder, file) = written(POLICY);
    let methods = ["e.Admin/Get", "e.Admin/Drop", "e.Admin/Other"];
    let arguments = ["tunnel-client", "policy", "explain", "--policy", &file];
    let (said, _) = run(&[&arguments[..], &methods[..]].concat());
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "e.Admin/Get: auto (access rule 2); limits streams: 2");
    assert_eq!(lines[1], "e.Admin/Drop: deny (access rule 1)");
    assert_eq!(lines[2], "e.Admin/Other: deny (no access rule matches)");
}

#[test]
fn explain_knows_operations_and_their_limits() {
    let (_folder, file) = written(
        "version: 1\napprovals: { scale: { mode: auto, limits: { maxReplicas: 9, maxStep: 2 } }, \
         runTask: { compact: auto }, upgrade: manual, configure: auto }\n",
    );
    let operations = ["scale", "upgrade", "runTask.compact", "runTask.wipe", "configure"];
    let arguments = ["tunnel-client", "policy", "explain", "--policy", &file];
    let (said, _) = run(&[&arguments[..], &operations[..]].concat());
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "scale: auto (approvals.scale); limits maxReplicas: 9, maxStep: 2");
    assert_eq!(lines[1], "upgrade: manual (approvals.upgrade)");
    assert_eq!(lines[2], "runTask.compact: auto (approvals.runTask.compact)");
    assert_eq!(lines[3], "runTask.wipe: deny (approvals.runTask.wipe)");
    assert_eq!(lines[4], "configure: manual (approvals.configure)");
    let (json, _) = run(&[&arguments[..], &operations[..], &["--output", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["operations"][0]["approval"], "auto");
    let (said, _) = run(&["tunnel-client", "policy", "check", &file]);
    assert!(said.contains("approvals.configure: auto without limits counts as manual"), "{said}");
    assert!(Cli::try_parse_from([&arguments[..], &["wipe"]].concat()).is_err());
}

#[test]
fn explain_says_what_the_descriptors_do_not_know() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../integration/profiles/reference-engine.yaml");
    let (_folder, file) =
        written("version: 1\naccess:\n  - { methods: [\"e.Admin/Get\"], approval: auto }\n");
    let methods = ["engine.admin.v1.Admin/Echo", "e.Admin/Get", "e.Admin/*"];
    let run = |more: &[&str]| {
        let arguments = ["tunnel-client", "policy", "explain", "--policy", &file];
        run(&[&arguments[..], &methods, more].concat()).0
    };
    let said = run(&["--profile", shipped]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "engine.admin.v1.Admin/Echo: deny (no access rule matches)");
    let unknown = "the engine profile's descriptors name no such method";
    assert_eq!(lines[1], format!("e.Admin/Get: auto (access rule 1); {unknown}"));
    assert_eq!(lines[2], format!("e.Admin/*: {unknown}"));
    assert!(run(&[]).contains("e.Admin/*: a pattern takes an engine profile"));
    let json: serde_json::Value =
        serde_json::from_str(&run(&["--profile", shipped, "--output", "json"])).unwrap();
    assert_eq!((&json["methods"][0]["exists"], &json["methods"][1]["exists"]), (&true.into(), &false.into()));
    assert_eq!(json["unmatched"][0], "e.Admin/*");
}

#[test]
fn show_effective_resolves_the_preset() {
    let (_folder, file) = written("version: 1\npreset: supervised\n");
    let (said, _) = run(&["tunnel-client", "policy", "show", "--effective", "--policy", &file]);
    assert!(said.contains("grpc.health.v1.Health/Check") && said.contains("restart: manual"), "{said}");
    let (said, _) = run(&["tunnel-client", "policy", "show", "--policy", &file]);
    assert_eq!(said, "version: 1\npreset: supervised\n");
}
