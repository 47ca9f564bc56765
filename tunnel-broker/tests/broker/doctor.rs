//! `doctor` over real files and a broker that runs.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use tunnel_broker::{Config, doctor};
use tunnel_runtime::{
    config::Loaded,
    doctor::{Report, Verdict},
    exit::Exit,
};

use crate::{
    World,
    vendor::{Vendor, authority, now, roots},
};
use prost::Message;
use serde_json::Value;
use tunnel_certs::issue::CaKind;

async fn look(config: &Config) -> Report {
    let config = Config { listen: config.listen, ..config.clone() };
    let loaded = Loaded { config, effective: "state: here".to_owned(), unused_environment: Vec::new() };
    doctor::look(Path::new("broker.yaml"), Ok(loaded), &BTreeMap::new(), now()).await
}

/// Verdict and text of one check.
fn found(report: &Report, check: &str) -> (String, String) {
    let all = report.findings.to_json();
    let one = all["checks"].as_array().unwrap().iter().find(|one| one["check"] == check);
    let one = one.unwrap_or_else(|| panic!("no {check} in {all:#}"));
    (one["verdict"].as_str().unwrap().to_owned(), one["seen"].as_str().unwrap().to_owned())
}

fn verdict(report: &Report, check: &str) -> String {
    found(report, check).0
}

#[tokio::test]
async fn before_the_first_start_all_is_well_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let vendor = Vendor::create(folder.path());
    let config = vendor.config();
    let report = look(&config).await;
    assert_eq!(report.exit(), Exit::Ok, "{:#}", report.findings.to_json());
    for check in ["trust-bundle", "mesh-cert", "api-cert", "clock", "udp-port", "tcp-port", "admin-port"] {
        assert_eq!(verdict(&report, check), "ok", "{check}");
    }
    assert_eq!(verdict(&report, "database"), "skipped");
    assert!(!config.state_dir.exists());
    assert_eq!(report.about["trustBundle"], 1);
}

#[tokio::test]
async fn beside_a_broker_that_runs_it_reads_what_was_published() {
    let world = World::issuing(|_| {}).await;
    let mut root = crate::operator::admin(&world, &world.vendor.operator("root"));
    let trust_bundle = Some(world.vendor.bundle(7, |_| {}));
    root.publish_trust(tunnel_protos::operators::PublishTrustRequest { trust_bundle }).await.unwrap();
    let config = Config {
        listen: tunnel_broker::config::ListenConfig { tcp: world.addresses.tcp, ..world.config.listen },
        ..world.config.clone()
    };
    let report = look(&config).await;
    assert_eq!((verdict(&report, "database"), &report.about["trustBundle"]), ("ok".to_owned(), &7.into()));
    assert_eq!(verdict(&report, "mesh-ca"), "ok");
    // Its admin port does not answer here, so that this could be anybody.
    assert_eq!(verdict(&report, "tcp-port"), "failed");
}

#[tokio::test]
async fn what_is_wrong_with_papers_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let vendor = Vendor::create(folder.path());
    let mut config = vendor.config();
    vendor.write("api.pem", b"nonsense");
    let other = authority(CaKind::Mesh);
    let bundle = |change: &dyn Fn(&mut tunnel_certs::statement::trust_bundle::TrustBundle)| {
        vendor.write("bundle.pb", &vendor.bundle(2, change).encode_to_vec());
    };
    bundle(&|bundle| bundle.mesh_roots = roots(&[&other]));
    let report = look(&config).await;
    assert_eq!(report.exit(), Exit::Failed);
    for check in ["api-cert", "mesh-cert"] {
        assert_eq!(verdict(&report, check), "failed", "{check}");
    }
    vendor.issuing(&mut config);
    let report = look(&config).await;
    let (verdict_of_ca, seen) = found(&report, "mesh-ca");
    assert!(verdict_of_ca == "failed" && seen.contains("names none of those"), "{seen}");
    bundle(&|bundle| bundle.expires = now().plus(Duration::from_secs(3600)));
    assert_eq!(verdict(&look(&config).await, "trust-bundle"), "warning");
    vendor.write("bundle.pb", b"nonsense");
    let report = look(&config).await;
    assert_eq!(
        (verdict(&report, "trust-bundle"), verdict(&report, "mesh-ca")),
        ("failed".into(), "skipped".into())
    );
}

#[tokio::test]
async fn a_damaged_or_open_database_is_told_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let config = Vendor::create(folder.path()).config();
    std::fs::create_dir(&config.state_dir).unwrap();
    let path = config.state_dir.join("broker.sqlite");
    std::fs::write(&path, b"SQLite it is not").unwrap();
    assert_eq!(verdict(&look(&config).await, "database"), "failed");
    assert_eq!(std::fs::read(&path).unwrap(), b"SQLite it is not");
    std::fs::write(&path, b"").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(verdict(&look(&config).await, "database"), "warning");
    assert_eq!(std::fs::read_dir(&config.state_dir).unwrap().count(), 1, "no journal was made");
}

#[tokio::test]
async fn no_key_goes_into_what_is_handed_on() {
    let world = World::issuing(|_| {}).await;
    let report = look(&world.config).await;
    let path = world.state_dir().join("doctor.tar");
    report.write(&path, str::to_owned, Value::to_string).unwrap();
    let tar = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    for file in ["doctor.txt", "findings.json", "about.json", "config.yaml"] {
        assert!(tar.contains(file), "{file}");
    }
    assert!(tar.contains("trust-bundle") && report.findings.worst() != Verdict::Good);
    for name in ["mesh.key", "api.key", "broker.key"] {
        let pem = world.vendor.read(name);
        let secret = pem.lines().nth(1).unwrap();
        assert!(!tar.contains(secret), "{name}");
    }
}
