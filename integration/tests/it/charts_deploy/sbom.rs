//! The bill of materials of each program: complete, with licenses and checksums, and nothing that is only a test's.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::process::Command;
use tunnel_integration::{harness::command::ended, sbom};

use super::repository;

async fn metadata() -> Value {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version=1", "--locked", "--offline"]);
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    command.current_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let ended = ended(command).await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

#[tokio::test]
async fn each_program_tells_what_it_is_made_of() {
    let (metadata, lock) = (metadata().await, repository("Cargo.lock"));
    for program in ["tunnel-broker", "tunnel-client", "tunnelctl", "tunnel-certs"] {
        let bom = sbom::of(program, &metadata, &lock).unwrap();
        let components = bom["components"].as_array().unwrap();
        let names: BTreeSet<_> = components.iter().map(|component| text(component, "name")).collect();
        for part in ["rustls", "aws-lc-rs", "tunnel-protos"] {
            assert!(names.contains(part), "{program} holds {part}");
        }
        for stranger in ["tunnel-integration", "proptest", "protox"] {
            assert!(!names.contains(stranger), "{program} does not hold {stranger}");
        }
        for component in components {
            let name = text(component, "name");
            assert!(component["licenses"][0]["expression"].is_string(), "{program}: {name} has no license");
            let is_ours = name.starts_with("tunnel-") || name == "tunnelctl";
            assert_eq!(component["hashes"].is_null(), is_ours, "{program}: {name}");
        }
        let known: BTreeSet<_> = components.iter().map(|component| text(component, "bom-ref")).collect();
        for dependency in bom["dependencies"].as_array().unwrap() {
            for on in dependency["dependsOn"].as_array().unwrap() {
                assert!(known.contains(on.as_str().unwrap()), "{program}: {on} is named and not listed");
            }
        }
    }
}
