//! Alerts and dashboards speak of metrics that the programs really have, and each alert has its page.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use tunnel_integration::harness::{PATIENCE, broker::address, client, vendor, wait::until};

use super::repository;

/// Words of an expression that begin as a metric's name does.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("postern_"))
}

/// Labels that an expression selects or groups by, but for those that Prometheus adds.
fn labels(expression: &str) -> BTreeSet<&str> {
    let grouped = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    let grouped = grouped.flat_map(|names| names.split(", "));
    let braces = expression.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let selected = braces.flat_map(|inside| inside.split(',')).filter_map(|one| one.split(['=', '!']).next());
    grouped.chain(selected).filter(|label| !["instance", "le"].contains(label)).collect()
}

/// Whether a scrape has a series of the metric that begins `text`; of a counter, with all labels that have one value there.
fn is_scraped(scrape: &str, text: &str) -> bool {
    let name = metrics(text).next().unwrap();
    let braces = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('{')?.split('}').next());
    let fixed = |one: &&str| name.ends_with("_total") && one.contains("=\"");
    let labels: Vec<_> = braces.into_iter().flat_map(|inside| inside.split(',')).filter(fixed).collect();
    let is_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    scrape.lines().any(|line| is_it(line) && labels.iter().all(|label| line.contains(label)))
}

/// What expressions say from each metric's name on.
fn selections(expression: &str) -> impl Iterator<Item = &str> {
    expression.match_indices("postern_").map(|(at, _)| &expression[at..])
}

struct Rules(Vec<Value>);

impl Rules {
    fn read() -> Self {
        let file: Value =
            serde_saphyr::from_str(&repository("deploy/prometheus/postern.rules.yaml")).unwrap();
        let groups = file["groups"].as_array().unwrap().iter();
        Self(groups.flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect())
    }

    fn expressions(&self) -> Vec<String> {
        self.0.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect()
    }
}

fn dashboards() -> Vec<Value> {
    let read =
        |name| serde_json::from_str(&repository(&format!("deploy/grafana/postern-{name}.json"))).unwrap();
    ["client", "broker"].map(read).into()
}

fn dashboard_expressions() -> Vec<String> {
    let panels = dashboards().into_iter().flat_map(|board| board["panels"].as_array().unwrap().clone());
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap().clone());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// All sources of the programs in one text.
fn sources() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                collect(&entry, text);
            } else {
                text.push_str(&fs::read_to_string(entry).unwrap());
            }
        }
    }
    let mut text = String::new();
    for folder in ["tunnel-broker/src", "tunnel-client/src", "tunnel-runtime/src"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut text);
    }
    text
}

#[test]
fn every_metric_and_label_that_is_named_exists() {
    let sources = sources();
    let expressions = [Rules::read().expressions(), dashboard_expressions()].concat();
    assert!(expressions.len() > 40);
    for expression in &expressions {
        for metric in metrics(expression) {
            let name = metric.trim_end_matches("_bucket");
            assert!(sources.contains(&format!("\"{name}\"")), "{name} in {expression}");
        }
        for label in labels(expression) {
            assert!(sources.contains(&format!("\"{label}\" =>")), "label {label} in {expression}");
        }
    }
}

#[test]
fn everything_that_expires_has_an_alert() {
    let (sources, rules) = (sources(), Rules::read().expressions().join("\n"));
    let expiring = metrics(&sources).filter(|name| name.ends_with("_expiration_timestamp_seconds"));
    let expiring: BTreeSet<_> = expiring.collect();
    assert!(expiring.len() >= 5, "{expiring:?}");
    for metric in expiring {
        assert!(rules.contains(metric), "nobody is told when {metric} nears");
    }
    let kinds = sources.split("expiration(\"").skip(1).filter_map(|rest| rest.split('"').next());
    for kind in kinds {
        assert!(rules.contains(kind), "nobody is told when the broker's {kind} ends");
    }
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() {
    let pages = repository("docs/runbook.md");
    let pages: BTreeSet<_> = pages.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let Rules(rules) = Rules::read();
    let alerts: BTreeSet<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(alerts, pages);
    assert_eq!(alerts.len(), rules.len(), "an alert is there twice");
    for rule in &rules {
        let anchor = rule["alert"].as_str().unwrap().to_lowercase();
        assert_eq!(rule["annotations"]["runbook"], format!("docs/runbook.md#{anchor}"));
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()));
        assert!(rule["for"].is_string() && rule["annotations"]["summary"].is_string());
    }
}

/// An alert on a value that is not there before something goes wrong would never fire.
#[tokio::test]
async fn what_alerts_compare_is_in_a_live_scrape() {
    let folder = tempfile::tempdir().unwrap();
    let vendor = vendor::Vendor::create(&folder.path().join("vendor")).unwrap();
    let ip = std::net::Ipv4Addr::LOCALHOST.into();
    let settings = tunnel_integration::harness::broker::BrokerSettings::of(
        &vendor,
        "b1",
        &folder.path().join("broker"),
        ip,
    )
    .unwrap();
    let (_broker, listen) = settings.spawn(folder.path(), &[]).await.unwrap();
    let mut settings =
        client::ClientSettings::of(&vendor, "acme/prod", &folder.path().join("client")).unwrap();
    settings.brokers = vec![listen.quic];
    settings.endpoints = vec![("default".to_owned(), "http://127.0.0.1:1".to_owned())];
    settings.export_keys(&vendor).await.unwrap();
    settings.publish(&folder.path().join("broker/entries")).unwrap();
    let mut client = settings.spawn(&[]).unwrap();
    let admin = client.says("its admin port", PATIENCE, admin_port).await.unwrap();
    settings.attached(&mut client).await.unwrap();
    let Rules(rules) = Rules::read();
    let compared: Vec<_> = rules.iter().flat_map(|rule| selections(rule["expr"].as_str().unwrap())).collect();
    assert!(compared.len() > 20, "{compared:?}");
    until("all that alerts compare is scraped", PATIENCE, || async {
        let scrape = [scraped(admin).await, scraped(listen.admin).await].join("\n");
        let missing: Vec<_> = compared.iter().filter(|text| !is_scraped(&scrape, text)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} is not there")) }
    })
    .await
    .unwrap();
}

fn admin_port(log: &str) -> Option<std::net::SocketAddr> {
    let line = log.lines().find(|line| line.contains("Listening"))?;
    address(line, "admin")
}

async fn scraped(admin: std::net::SocketAddr) -> String {
    tunnel_integration::harness::admin::get(admin, "/metrics").await.unwrap_or_default()
}
