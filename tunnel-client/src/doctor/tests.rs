use std::{fs, path::PathBuf, time::Duration};

use serde_json::Value;
use tokio::time::timeout;
use tunnel_certs::issue::self_signed_api_server;
use tunnel_runtime::exit::Exit;
use tunnel_transport::{Closed, Code};

use super::{
    testing::{Broker, Narrow, PATIENCE, Site, now},
    *,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn report(site: &Site) -> Report {
    let (file, environment) = (site.path("client.yaml"), BTreeMap::new());
    let made = look(&file, site.read(), &environment, now());
    timeout(Duration::from_secs(60), made).await.unwrap()
}

/// Verdict, what was seen and what to do of one check.
fn found(report: &Report, check: &str) -> (String, String, String) {
    let json = report.findings.to_json();
    let all = json["checks"].as_array().unwrap().clone();
    let one = all.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("{check}: {json:#}"));
    let text = |key: &str| one[key].as_str().unwrap().to_owned();
    (text("verdict"), text("seen"), text("advice"))
}

fn verdict(report: &Report, check: &str) -> String {
    found(report, check).0
}

/// Every file below with its content.
fn snapshot(folder: PathBuf) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    files
}

#[tokio::test]
async fn all_is_well_and_nothing_is_touched() {
    let site = Site::new();
    let mut broker = Broker::start(&site, &site.broker()).await;
    site.configure(&broker.address, "");
    let before = snapshot(site.path(""));
    let report = report(&site).await;
    for check in [
        "configuration",
        "enrollment",
        "trust-bundle",
        "mesh-cert",
        "entry",
        "access-ca",
        "clock",
        "dns",
        "tcp",
        "broker-tls",
        "udp",
        "mtu",
        "policy",
    ] {
        assert_eq!(verdict(&report, check), "ok", "{check}: {:#}", report.findings.to_json());
    }
    assert!(found(&report, "udp").1.contains("b1"), "{:?}", found(&report, "udp"));
    let (engine, seen, _) = found(&report, "profile");
    assert!(engine == "failed" && seen.contains("/nowhere/engine.sock"), "{seen}");
    let ended = timeout(PATIENCE, broker.ended.recv()).await.unwrap().unwrap();
    assert_eq!(ended, Closed::ByPeer { code: Code::Done, retry_after: None });
    assert_eq!(snapshot(site.path("")), before);
}

#[tokio::test]
async fn closed_udp_fails_though_tcp_is_open() {
    let site = Site::new();
    let broker = Broker::without_udp(&site).await;
    site.configure(&broker.address, "");
    let report = report(&site).await;
    let (verdict, seen, advice) = found(&report, "udp");
    assert!(verdict == "failed" && seen.contains("no answer") && advice.contains("open UDP"), "{seen}");
    assert_eq!(self::verdict(&report, "broker-tls"), "ok");
    assert_eq!(report.exit(), Exit::Failed);
}

#[tokio::test]
async fn a_way_that_carries_no_more_than_quic_needs_is_a_warning() {
    let site = Site::new();
    let broker = Broker::start(&site, &site.broker()).await;
    let narrow = Narrow::before(&broker, 1_280).await;
    site.configure(&narrow.address, "");
    let report = report(&site).await;
    assert_eq!(verdict(&report, "udp"), "ok", "{:#}", report.findings.to_json());
    let (verdict, seen, advice) = found(&report, "mtu");
    assert_eq!(verdict, "warning", "{seen}");
    assert!(
        seen.contains("1200 bytes pass, more do not") && advice.contains("MTU of 1400"),
        "{seen}: {advice}"
    );
}

#[tokio::test]
async fn somebody_elses_certificate_is_an_interception() {
    let site = Site::new();
    let foreign = self_signed_api_server(&"proxy.example".parse().unwrap(), &[], DAY, now()).unwrap();
    let broker = Broker::start(&site, &foreign).await;
    site.configure(&broker.address, "");
    let report = report(&site).await;
    let (verdict, seen, advice) = found(&report, "broker-tls");
    assert!(verdict == "failed" && advice.contains("intercepted"), "{seen}");
    assert!(seen.contains("proxy.example"), "{seen}");
    assert_eq!(self::verdict(&report, "udp"), "ok");
}

#[tokio::test]
async fn another_vendors_broker_is_no_interception() {
    let (site, other) = (Site::new(), Site::empty());
    let broker = Broker::start(&site, &other.broker()).await;
    site.configure(&broker.address, "");
    let (verdict, seen, advice) = found(&report(&site).await, "broker-tls");
    assert!(verdict == "failed" && advice.contains("newest trust bundle"), "{verdict}: {seen}");
}

#[tokio::test]
async fn a_certificate_that_is_over_is_told_and_refused_by_the_broker() {
    let site = Site::new();
    site.write_leaf(DAY, now().minus(3 * DAY));
    let broker = Broker::start(&site, &site.broker()).await;
    site.configure(&broker.address, "");
    let report = report(&site).await;
    let (verdict, seen, advice) = found(&report, "mesh-cert");
    assert!(verdict == "failed" && seen.contains("over since") && advice.contains("renews"), "{seen}");
    let (verdict, seen, advice) = found(&report, "udp");
    assert!(verdict == "failed" && advice.contains("mesh-cert"), "{seen}");
    assert_eq!(self::verdict(&report, "clock"), "ok");
}

#[tokio::test]
async fn a_wrong_policy_fails_with_its_place() {
    let site = Site::new();
    let broker = Broker::start(&site, &site.broker()).await;
    site.configure(&broker.address, "");
    site.write("policy.yaml", b"version: 1\nacess: []\n");
    let report = report(&site).await;
    let (verdict, seen, _) = found(&report, "policy");
    assert!(verdict == "failed" && seen.contains("acess") && seen.contains(":2:1"), "{seen}");
    assert_eq!(report.about["policyDigest"], Value::Null);
}

#[tokio::test]
async fn before_the_first_start_the_enrollment_bundle_is_enough_and_nothing_is_made() {
    let site = Site::empty();
    let broker = Broker::start(&site, &site.broker()).await;
    let bundle = site.enrollment();
    tunnel_certs::file::write_private(&site.path("b"), bundle.to_text().as_bytes()).unwrap();
    let yaml = format!(
        "stateDir: state\nprofile: profile.yaml\nenrollment: {{ bundle: b }}\nbrokers: [\"{}\"]\n",
        broker.address
    );
    site.write("client.yaml", yaml.as_bytes());
    let report = report(&site).await;
    assert_eq!(verdict(&report, "enrollment"), "ok");
    assert_eq!(verdict(&report, "broker-tls"), "ok");
    for check in ["mesh-cert", "access-ca", "udp"] {
        assert_eq!(verdict(&report, check), "skipped", "{check}");
    }
    assert!(!site.path("state").exists());
}

#[tokio::test]
async fn without_a_configuration_the_machine_is_looked_at() {
    let site = Site::empty();
    let proxies = [("https_proxy".to_owned(), "http://me:hunter2@proxy".to_owned())].into();
    let report = look(&site.path("client.yaml"), site.read(), &proxies, now()).await;
    assert_eq!(report.exit(), Exit::Config);
    assert_eq!(verdict(&report, "configuration"), "failed");
    assert_eq!(verdict(&report, "proxy"), "warning");
    assert!(!report.findings.to_json().to_string().contains("hunter2"));
}
