//! What the vendor signed and what this broker shows: whose it is, until when, and whether the clock agrees.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tunnel_certs::{statement::trust_bundle::TrustBundle, verify::Summary};
use tunnel_protos::{UnixMillis, time::lasting};
use tunnel_runtime::{
    chain,
    doctor::{Finding, Paper},
};

use crate::{
    config::Config,
    enroll::{EnrollError, mesh_cas_of},
    store::Store,
    trust::{Bundles, read_own, summary_of_api},
};

/// Everything of it, as far as it can be read.
pub(super) struct Papers {
    bundle: Result<TrustBundle, String>,
    /// The mesh CAs whose keys are here.
    cas: Result<Vec<CertificateDer<'static>>, EnrollError>,
}

impl Papers {
    pub(super) async fn read(config: &Config, store: Option<&Store>, now: UnixMillis) -> Self {
        let trusted = Bundles::glance(&config.trust, store, now).await;
        Self {
            bundle: trusted.map(|trusted| trusted.bundle).map_err(|error| chain(&error).to_string()),
            cas: mesh_cas_of(&config.enroll, &config.state_dir),
        }
    }

    pub(super) fn vendor(&self) -> Option<String> {
        Some(self.bundle()?.vendor.to_string())
    }

    pub(super) fn sequence(&self) -> Option<u64> {
        Some(self.bundle()?.sequence)
    }

    /// Where clients look for brokers.
    pub(super) fn addresses(&self) -> &[String] {
        self.bundle().map_or(&[], |bundle| &bundle.broker_addresses)
    }

    pub(super) fn findings(&self, config: &Config, now: UnixMillis) -> Vec<Finding> {
        vec![
            self.trust_bundle(now),
            self.mesh_ca(config, now),
            self.mesh_certificate(config, now),
            self.api_certificate(config, now),
            self.clock(now),
        ]
    }

    fn bundle(&self) -> Option<&TrustBundle> {
        self.bundle.as_ref().ok()
    }

    fn trust_bundle(&self, now: UnixMillis) -> Finding {
        let tried = "the vendor's roots, keys and addresses";
        match &self.bundle {
            Err(error) => Finding::good(TRUST, tried, error).bad(NEW_BUNDLE),
            Ok(bundle) => {
                let what = format!("bundle {} of {}", bundle.sequence, bundle.vendor);
                Paper {
                    check: TRUST,
                    tried,
                    what,
                    end: bundle.expires.system(),
                    soon: MONTH,
                    mend: NEW_BUNDLE,
                }
                .judge(now.system(), lasting)
            }
        }
    }

    /// One of them must be in the trust bundle, or nothing is issued.
    fn mesh_ca(&self, config: &Config, now: UnixMillis) -> Finding {
        let tried = "what signs certificates of replicas";
        let (cas, bundle) = match (&self.cas, self.bundle()) {
            (Err(error), _) => return Finding::good(CA, tried, chain(error).to_string()).bad(NEW_CA),
            (Ok(cas), _) if cas.is_empty() && config.enroll.mesh_ca.is_none() => {
                return Finding::skipped(CA, tried, "`enroll.meshCa` is not set: nobody enrolls here");
            }
            (Ok(_), None) => return Finding::skipped(CA, tried, "there is no trust bundle"),
            (Ok(cas), Some(bundle)) => (cas, bundle),
        };
        let roots = bundle.mesh_roots.certificates();
        let trusted = cas.iter().filter(|ca| roots.contains(ca));
        let read: Vec<_> = trusted.filter_map(|ca| Summary::read(ca).ok()).collect();
        let Some(first) = read.iter().min_by_key(|ca| ca.not_before) else {
            let seen = "the trust bundle in force names none of those whose keys are here";
            return Finding::good(CA, tried, seen).bad(NEW_CA);
        };
        let what = first.subject.clone();
        Paper { check: CA, tried, what, end: first.not_after.system(), soon: HALF_A_YEAR, mend: NEW_CA }
            .judge(now.system(), lasting)
    }

    fn mesh_certificate(&self, config: &Config, now: UnixMillis) -> Finding {
        let tried = "who this broker is toward replicas";
        match (&config.mesh, self.bundle()) {
            _ if config.enroll.mesh_ca.is_some() => Finding::good(
                LEAF,
                tried,
                format!("{}, issued by itself at each start", config.enroll.broker_id),
            ),
            (_, None) => Finding::skipped(LEAF, tried, "there is no trust bundle"),
            (None, Some(_)) => Finding::good(LEAF, tried, "none is configured").bad(NEW_LEAF),
            (Some(files), Some(bundle)) => match read_own(files, bundle, now) {
                Err(error) => Finding::good(LEAF, tried, chain(&error).to_string()).bad(NEW_LEAF),
                Ok(own) => {
                    let (what, end) = (format!("broker {}", own.broker_id), own.not_after);
                    let read = Summary::read(own.credential.certificate());
                    // Who replaces it by files does so in time, at two thirds of its life.
                    let soon = end.since(read.map_or(now, |read| read.not_before)) / 6;
                    Paper { check: LEAF, tried, what, end: end.system(), soon, mend: NEW_LEAF }
                        .judge(now.system(), lasting)
                }
            },
        }
    }

    fn api_certificate(&self, config: &Config, now: UnixMillis) -> Finding {
        let tried = "what the operators' API shows";
        let read = match summary_of_api(&config.api) {
            Err(error) => return Finding::good(API, tried, chain(&error).to_string()).bad(NEW_API),
            Ok(read) => read,
        };
        let name = self.bundle().map(|bundle| bundle.suffix.api());
        let what = read.names.join(", ");
        let (end, soon) = (read.not_after, read.not_after.since(read.not_before) / 6);
        let finding = Paper { check: API, tried, what, end: end.system(), soon, mend: NEW_API }
            .judge(now.system(), lasting);
        match name {
            Some(name) if !read.names.iter().any(|known| covers(known, &name)) => {
                Finding { seen: format!("{}; it is not for {name}", finding.seen), ..finding }.bad(NEW_API)
            }
            _ => finding,
        }
    }

    /// What begins in the future shows a clock that is behind.
    fn clock(&self, now: UnixMillis) -> Finding {
        let finding = |seen: String| Finding::good("clock", "this machine's time against the papers", seen);
        let Some(bundle) = self.bundle() else {
            return finding(format!("{now}; there is nothing to hold it against"));
        };
        let roots = bundle.mesh_roots.certificates().iter().filter_map(|root| Summary::read(root).ok());
        let begins = roots.map(|root| root.not_before).chain([bundle.expires.minus(TrustBundle::MAX_LIFE)]);
        match begins.max().filter(|begin| begin.since(now) > AGREE) {
            Some(begin) => {
                let seen = format!(
                    "{now}, and a mesh root or the trust bundle begins in {}",
                    lasting(begin.since(now))
                );
                finding(seen).bad("set this machine's clock: it is behind; keep it by NTP")
            }
            None => finding(format!("{now}, after all of them began")),
        }
    }
}

/// A name of a certificate, as browsers read it.
fn covers(known: &str, name: &str) -> bool {
    let wild = || Some(known.strip_prefix("*.")? == name.split_once('.')?.1);
    known == name || wild().unwrap_or(false)
}

const TRUST: &str = "trust-bundle";
const CA: &str = "mesh-ca";
const LEAF: &str = "mesh-cert";
const API: &str = "api-cert";
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
const HALF_A_YEAR: Duration = Duration::from_secs(180 * 24 * 3600);
/// Makers of papers take a minute off for clocks that differ, or more.
const AGREE: Duration = Duration::from_secs(60);
const NEW_BUNDLE: &str = "make the next one with the vendor key (`tunnel-certs statement trust-bundle`) and publish it (`tunnelctl trust \
                          publish`), or put it into `trust.bundle`; check the clock, too";
const NEW_CA: &str = "name the mesh CA of the trust bundle in `enroll.meshCa`, or put `stateDir/mesh-ca` back from a backup; before its \
                      end, `tunnel-certs rotate mesh`";
const NEW_LEAF: &str = "set `enroll.meshCa`, so that the broker issues its own, or make another (`tunnel-certs issue broker`) into `mesh`";
const NEW_API: &str =
    "put a certificate for this name into `api.certificate`; the broker takes it without a restart";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_level() {
        assert!(covers("api.tunnel.example", "api.tunnel.example"));
        assert!(covers("*.tunnel.example", "api.tunnel.example"));
        assert!(!covers("*.example", "api.tunnel.example"));
        assert!(!covers("api.tunnel.example", "api.other.example"));
    }
}
