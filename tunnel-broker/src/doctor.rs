//! What may keep this broker from working, looked at piece by piece: the machine, its papers, its ports, its addresses.
//!
//! Invariant: it only looks. Nothing is made or changed in the state folder, no migration runs, and no finding holds a
//! secret.

mod database;
mod papers;
mod reach;

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};
use tunnel_protos::UnixMillis;
use tunnel_runtime::{
    config::Loaded,
    doctor::{Finding, Findings, machine, network},
    exit::Exit,
};

use self::papers::Papers;
use crate::config::Config;

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// Every check.
    pub findings: Findings,
    /// Versions and names.
    pub about: Value,
    /// The configuration in effect, secrets masked; none if there is none.
    pub effective: Option<String>,
}

impl Report {
    /// Looks at everything that the configuration leads to; without one, at the machine only. Bounded in time.
    pub async fn make(
        file: &Path,
        read: Result<Loaded<Config>, String>,
        environment: &BTreeMap<String, String>,
        now: UnixMillis,
    ) -> Self {
        let tried = file.display().to_string();
        let mut findings = Findings::default();
        let Loaded { config, effective, .. } = match read {
            Ok(loaded) => loaded,
            Err(error) => {
                findings.push(Finding::good(CONFIG, tried, error).bad(MEND_CONFIG));
                findings.extend(surroundings(environment));
                return Self { findings, about: about(now), effective: None };
            }
        };
        findings.push(Finding::good(CONFIG, tried, "read"));
        findings.push(disk(&config));
        findings.extend(surroundings(environment));
        let (found, store) = database::look(&config.state_dir).await;
        findings.push(found);
        let papers = Papers::read(&config, store.as_ref(), now).await;
        findings.extend(papers.findings(&config, now));
        let (ports, addresses) =
            tokio::join!(reach::ports(&config.listen), reach::addresses(papers.addresses()));
        findings.extend(ports);
        findings.extend(addresses);
        let mut about = about(now);
        about["vendor"] = json!(papers.vendor());
        about["trustBundle"] = json!(papers.sequence());
        Self { findings, about, effective: Some(effective) }
    }

    /// How the program ends.
    pub fn exit(&self) -> Exit {
        if self.effective.is_none() { Exit::Config } else { self.findings.exit() }
    }
}

fn surroundings(environment: &BTreeMap<String, String>) -> impl Iterator<Item = Finding> {
    machine::udp_buffers().into_iter().chain([network::proxies(environment)])
}

/// The state folder, or where the first start will make it.
fn disk(config: &Config) -> Finding {
    let folder = config.state_dir.ancestors().find(|folder| folder.exists());
    machine::disk(folder.unwrap_or(&config.state_dir), WANTED)
}

fn about(now: UnixMillis) -> Value {
    json!({
        "program": "tunnel-broker", "version": env!("CARGO_PKG_VERSION"), "timeMs": now.0,
        "os": std::env::consts::OS, "architecture": std::env::consts::ARCH,
    })
}

const CONFIG: &str = "configuration";
const MEND_CONFIG: &str = "mend the file; nothing that it names was looked at";
/// A full mailbox and its journal.
const WANTED: u64 = 256 << 20;
