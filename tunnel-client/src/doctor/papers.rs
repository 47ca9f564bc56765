//! What was signed for us and what we signed: whose it is, until when, and whether the clock agrees.

mod clock;
mod read;

use std::time::Duration;

use tunnel_certs::{statement::inventory, verify::Summary};
use tunnel_protos::{UnixMillis, time::lasting};
use tunnel_runtime::{
    chain,
    doctor::{Finding, Paper},
};

use crate::{
    config::Config,
    enrollment::{Glance, HomeError},
    trust::{Belief, Leaf},
};

/// Everything of it, as far as it can be read; a text says why it cannot.
pub(super) struct Papers {
    glance: Result<Glance, HomeError>,
    belief: Result<Belief, String>,
    /// None if there is none yet.
    leaf: Result<Option<Leaf>, String>,
    entry: Result<Option<inventory::Opened>, String>,
    access: Result<Option<Summary>, String>,
}

impl Papers {
    pub(super) fn belief(&self) -> Option<&Belief> {
        self.belief.as_ref().ok()
    }

    pub(super) fn cluster(&self) -> Option<String> {
        let cluster = &self.glance.as_ref().ok()?.cluster;
        Some(format!("{} ({})", cluster.name, cluster.label))
    }

    /// Whom a start would dial.
    pub(super) fn brokers(&self, config: &Config) -> Vec<String> {
        if config.brokers.is_empty() {
            return self.belief().map(|belief| belief.bundle.broker_addresses.clone()).unwrap_or_default();
        }
        config.brokers.iter().map(ToString::to_string).collect()
    }

    pub(super) fn findings(&self, now: UnixMillis) -> Vec<Finding> {
        vec![
            self.enrollment(now),
            self.trust_bundle(now),
            self.mesh_certificate(now),
            self.inventory_entry(now),
            self.access_ca(now),
            clock::judge(now, &self.begins(), &self.ends()),
        ]
    }

    fn enrollment(&self, now: UnixMillis) -> Finding {
        let finding = |seen: String| Finding::good("enrollment", "configuration and state folder", seen);
        let glance = match &self.glance {
            Ok(glance) => glance,
            Err(error) => return finding(chain(error).to_string()).bad(HOME),
        };
        let who = format!("{} ({})", glance.cluster.name, glance.cluster.label);
        match glance.bundle_until {
            _ if glance.enrolled => finding(format!("{who}, enrolled")),
            None => finding(format!("{who}, by the vendor's files")),
            Some(end) if end <= now => {
                finding(format!("{who}, not enrolled, and the enrollment bundle ended at {end}")).bad(TOKEN)
            }
            Some(end) => finding(format!("{who}, not enrolled yet; the bundle is good until {end}")),
        }
    }

    fn trust_bundle(&self, now: UnixMillis) -> Finding {
        let tried = "the vendor's roots, keys and addresses";
        match &self.belief {
            Err(error) => Finding::good(TRUST, tried, error).bad(NEW_BUNDLE),
            Ok(Belief { bundle, .. }) => {
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

    fn mesh_certificate(&self, now: UnixMillis) -> Finding {
        let tried = "who we are toward brokers";
        let (belief, leaf) = match (&self.belief, &self.leaf) {
            (Err(_), _) => return Finding::skipped(LEAF, tried, "there is no trust bundle"),
            (_, Err(error)) => return Finding::good(LEAF, tried, error).bad(NEW_LEAF),
            (_, Ok(None)) => return self.no_leaf(tried),
            (Ok(belief), Ok(Some(leaf))) => (belief, leaf),
        };
        let (begin, end) = leaf.credential.validity();
        let what = format!("replica {}", leaf.replica);
        // Renewed at two thirds of its life.
        let soon = end.since(begin) / 6;
        let finding = Paper { check: LEAF, tried, what, end: end.system(), soon, mend: NEW_LEAF }
            .judge(now.system(), lasting);
        match belief.check(leaf, now) {
            Err(error) if end > now => Finding { seen: chain(&error).to_string(), ..finding }.bad(NEW_LEAF),
            _ => finding,
        }
    }

    /// It comes by the enrollment, which may not have begun.
    fn no_leaf(&self, tried: &str) -> Finding {
        let finding = Finding::good(LEAF, tried, "there is none that fits our key");
        match &self.glance {
            Ok(glance) if !glance.enrolled && glance.bundle_until.is_some() => {
                Finding::skipped(LEAF, tried, "none yet: the enrollment brings it")
            }
            _ => finding.bad(NEW_LEAF),
        }
    }

    fn inventory_entry(&self, now: UnixMillis) -> Finding {
        let tried = "the vendor's word for our keys";
        match &self.entry {
            _ if self.belief.is_err() => Finding::skipped(ENTRY, tried, "there is no trust bundle"),
            Err(error) => Finding::good(ENTRY, tried, error).bad(NEW_ENTRY),
            Ok(None) => Finding::good(ENTRY, tried, "none is confirmed, so no request is taken")
                .doubtful("`tunnel-client enroll status` says what is next"),
            Ok(Some(inventory::Opened { entry, .. })) => {
                let what = format!("entry {} of {}", entry.sequence, entry.cluster);
                Paper { check: ENTRY, tried, what, end: entry.expires.system(), soon: MONTH, mend: NEW_ENTRY }
                    .judge(now.system(), lasting)
            }
        }
    }

    fn access_ca(&self, now: UnixMillis) -> Finding {
        let tried = "what signs operators' certificates";
        match &self.access {
            Err(error) => Finding::good(ACCESS, tried, error).bad(RESTORE),
            Ok(None) => Finding::skipped(ACCESS, tried, "none yet: the first start makes it"),
            Ok(Some(read)) => {
                let what = read.subject.clone();
                Paper { check: ACCESS, tried, what, end: read.not_after.system(), soon: MONTH, mend: ROTATE }
                    .judge(now.system(), lasting)
            }
        }
    }
}

const TRUST: &str = "trust-bundle";
const LEAF: &str = "mesh-cert";
const ENTRY: &str = "entry";
const ACCESS: &str = "access-ca";
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
const HOME: &str =
    "set `enrollment.bundle`, or the vendor's files; run the doctor as the user that the client runs as";
const TOKEN: &str = "ask the vendor's administrator for another bundle (`tunnelctl enroll create`)";
const NEW_BUNDLE: &str = "a client that runs takes a newer one from the brokers; else ask the vendor for it: `trust.bundle`, or \
                          `tunnel-client roots import FILE`. Check the clock, too";
const NEW_LEAF: &str = "a client that runs renews it, or enrolls again within 30 days of its end (look at its log); by files, the vendor \
                        issues it: `tunnel-certs issue replica`, into `mesh.certificate`";
const NEW_ENTRY: &str = "ask the vendor's administrator to renew it (`tunnelctl inventory renew`); brokers bring it, or it goes into \
                         `inventoryEntry`";
const ROTATE: &str = "tunnel-client ca rotate";
const RESTORE: &str =
    "put the state folder back from a backup, or give the user that runs this the right to read it";
