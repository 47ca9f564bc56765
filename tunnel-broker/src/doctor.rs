//! What may keep this broker from working, looked at piece by piece: the machine, its papers, its ports, its addresses.
//!
//! Invariant: it only looks. Nothing is made or changed in the state folder, no migration runs, and no finding holds a
//! secret.

mod database;
mod papers;
mod reach;

use std::{collections::BTreeMap, path::Path};

use serde_json::json;
use tunnel_protos::UnixMillis;
use tunnel_runtime::{
    config::Loaded,
    doctor::{Report, machine},
};

use self::papers::Papers;
use crate::config::Config;

/// Looks at everything that the configuration leads to; without one, at the machine only. Bounded in time.
pub async fn look(
    file: &Path,
    read: Result<Loaded<Config>, String>,
    environment: &BTreeMap<String, String>,
    now: UnixMillis,
) -> Report {
    let mut report = Report::new("tunnel-broker", env!("CARGO_PKG_VERSION"), now.0);
    report.file(file, read.as_ref().map(|loaded| loaded.effective.clone()).map_err(String::as_str));
    report.surroundings(environment);
    if let Ok(Loaded { config, .. }) = &read {
        configured(&mut report, config, now).await;
    }
    report
}

async fn configured(report: &mut Report, config: &Config, now: UnixMillis) {
    let Report { findings, about, .. } = report;
    findings.push(machine::disk(&config.state_dir, WANTED));
    let (found, store) = database::look(&config.state_dir).await;
    findings.push(found);
    let papers = Papers::read(config, store.as_ref(), now).await;
    findings.extend(papers.findings(config, now));
    let (ports, addresses) = tokio::join!(reach::ports(&config.listen), reach::addresses(papers.addresses()));
    findings.extend(ports);
    findings.extend(addresses);
    about["vendor"] = json!(papers.vendor());
    about["trustBundle"] = json!(papers.sequence());
}

/// A full mailbox and its journal.
const WANTED: u64 = 256 << 20;
