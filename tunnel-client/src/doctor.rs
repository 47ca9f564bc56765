//! What may keep this client from working, looked at piece by piece: the machine, our papers, the brokers, the engine.
//!
//! Invariant: it only looks. Nothing is made, locked or changed in the state folder, brokers hear no Hello, the engine
//! is asked for health and descriptors only, and no finding holds a secret.

mod broker;
mod customer;
mod exported;
mod papers;
mod witness;

use std::{collections::BTreeMap, path::Path};

use serde_json::json;
use tunnel_protos::UnixMillis;
use tunnel_runtime::{
    config::Loaded,
    doctor::{Report, machine},
};

use self::{customer::Customer, papers::Papers};
use crate::config::Config;

/// Looks at everything that the configuration leads to; without one, at the machine only. Bounded in time.
pub async fn look(
    file: &Path,
    read: Result<Loaded<Config>, String>,
    environment: &BTreeMap<String, String>,
    now: UnixMillis,
) -> Report {
    let mut report = Report::new("tunnel-client", env!("CARGO_PKG_VERSION"), now.0);
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
    findings.push(exported::look(config, now));
    let papers = Papers::read(config, now);
    findings.extend(papers.findings(now));
    let brokers = papers.brokers(config);
    let (brokers, customer) = tokio::join!(broker::all(&brokers, papers.belief()), Customer::look(config));
    findings.extend(brokers);
    findings.extend(customer.findings);
    about["cluster"] = json!(papers.cluster());
    about["trustBundle"] = json!(papers.belief().map(|belief| belief.bundle.sequence));
    about["policyDigest"] = json!(customer.digest);
}

/// Requests, and some days of the audit log.
const WANTED: u64 = 256 << 20;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
