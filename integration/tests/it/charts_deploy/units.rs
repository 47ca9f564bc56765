//! The units for machines are hardened, and they and the images fit the programs and the charts.

use tokio::process::Command;
use tunnel_integration::harness::{binaries, command::ended, skip::needs_root};

use super::repository;

const SERVICES: [&str; 3] = ["tunnel-client", "tunnel-broker", "tunnel-client-rotation"];

fn service(name: &str) -> String {
    repository(&format!("deploy/systemd/{name}.service"))
}

fn value<'u>(unit: &'u str, key: &str) -> Option<&'u str> {
    unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[test]
fn every_service_is_hardened() {
    let wanted = [
        ("User", "postern"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectControlGroups", "yes"),
        ("RestrictNamespaces", "yes"),
        ("RestrictSUIDSGID", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("LockPersonality", "yes"),
        ("SystemCallArchitectures", "native"),
        ("SystemCallFilter", "@system-service"),
    ];
    for name in SERVICES {
        let unit = service(name);
        for (key, wanted) in wanted {
            assert_eq!(value(&unit, key), Some(wanted), "{name}: {key}");
        }
        let capabilities = if name == "tunnel-broker" { "CAP_NET_BIND_SERVICE" } else { "" };
        assert_eq!(value(&unit, "CapabilityBoundingSet"), Some(capabilities), "{name}");
    }
}

#[tokio::test]
async fn systemd_itself_finds_little_exposure() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output().await else {
        return needs_root("install systemd-analyze (tools/debian.sh systemd)");
    };
    assert!(version.status.success());
    let folder = tempfile::tempdir().unwrap();
    for name in SERVICES {
        let path = folder.path().join(format!("{name}.service"));
        std::fs::write(&path, service(name)).unwrap();
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--no-pager", "--offline=true", "--threshold=20"]).arg(&path);
        let ended = ended(command).await.unwrap();
        assert_eq!(ended.code, Some(0), "{name}: {}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn units_start_commands_that_the_programs_know() {
    for name in SERVICES {
        let unit = service(name);
        let line = value(&unit, "ExecStart").unwrap();
        let words: Vec<_> = line.strip_prefix("/usr/bin/").unwrap().split(' ').collect();
        let mut command = binaries::command(words[0], &[]).unwrap();
        // Understood to its end, nothing is done: help is asked for after all of it.
        command.args(&words[1..]).arg("--help");
        let ended = ended(command).await.unwrap();
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    }
}

#[test]
fn a_service_is_not_killed_while_it_drains() {
    for (name, example) in [("tunnel-client", "tunnel-client"), ("tunnel-broker", "tunnel-broker")] {
        let example = repository(&format!("{example}/example.yaml"));
        let drain = example.lines().find_map(|line| line.trim().strip_prefix("drain: ")).unwrap();
        let drain = drain.split_whitespace().next().unwrap();
        let [drain, stop] = [drain, value(&service(name), "TimeoutStopSec").unwrap()]
            .map(|span| humantime::parse_duration(span).unwrap());
        assert!(stop > drain + std::time::Duration::from_secs(5), "{name}: {stop:?} after {drain:?}");
    }
}

#[test]
fn images_are_those_that_the_charts_name() {
    let dockerfile = repository("deploy/Dockerfile");
    let stages: Vec<_> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM base AS ")).collect();
    for chart in ["tunnel-client", "tunnel-broker", "postern-sidecar", "example-engine"] {
        let values = repository(&format!("helm/{chart}/values.yaml"));
        for line in values.lines().filter_map(|line| line.trim().strip_prefix("repository: postern/")) {
            assert!(stages.contains(&line), "{chart}: the Dockerfile makes no {line}");
            assert!(dockerfile.contains(&format!("COPY --from=build /out/{line} /{line}")));
        }
    }
    assert!(dockerfile.contains("FROM scratch AS base") && dockerfile.contains("USER 65532:65532"));
}
