//! A daemon looked over by its configuration, and what of it is printed and handed on.

use std::{collections::BTreeMap, io, path::Path};

use serde_json::{Value, json};

use super::{Finding, Findings, bundle, machine, network};
use crate::exit::Exit;

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// Every check.
    pub findings: Findings,
    /// Versions, names and digests; never what they stand for.
    pub about: Value,
    /// The configuration in effect, secrets masked; none if there is none.
    pub effective: Option<String>,
}

impl Report {
    /// Nothing is known yet of the `program`, whose version this is.
    pub fn new(program: &str, version: &str, now_ms: i64) -> Self {
        let about = json!({
            "program": program, "version": version, "timeMs": now_ms,
            "os": std::env::consts::OS, "architecture": std::env::consts::ARCH,
        });
        Self { findings: Findings::default(), about, effective: None }
    }

    /// Of the file itself: that it was read, or why not.
    pub fn file(&mut self, file: &Path, read: Result<String, &str>) {
        let tried = file.display().to_string();
        self.findings.push(match read {
            Ok(_) => Finding::good(CONFIG, tried, "read"),
            Err(error) => Finding::good(CONFIG, tried, error).bad(MEND_CONFIG),
        });
        self.effective = read.ok();
    }

    /// What lies around every daemon.
    pub fn surroundings(&mut self, environment: &BTreeMap<String, String>) {
        self.findings.extend(machine::udp_buffers().into_iter().chain([network::proxies(environment)]));
    }

    /// How the program ends.
    pub fn exit(&self) -> Exit {
        if self.effective.is_none() { Exit::Config } else { self.findings.exit() }
    }

    /// Writes what whoever helps is given; `text` and `json` make strange text safe to look at.
    pub fn write(
        &self,
        path: &Path,
        text: impl Fn(&str) -> String,
        json: impl Fn(&Value) -> String,
    ) -> io::Result<()> {
        let mut files = vec![
            ("doctor.txt", self.findings.to_text(text)),
            ("findings.json", json(&self.findings.to_json()) + "\n"),
            ("about.json", json(&self.about) + "\n"),
        ];
        files.extend(self.effective.clone().map(|effective| ("config.yaml", effective)));
        bundle::write(path, &files)
    }
}

const CONFIG: &str = "configuration";
const MEND_CONFIG: &str = "mend the file; nothing that it names was looked at";
