//! What is trusted, as people see it, and what of it needs somebody.

use std::time::Duration;

use tunnel_certs::{roots::Roots, statement::trust_bundle::TrustBundle, verify::Summary};
use tunnel_protos::{
    UnixMillis,
    approvers::{RootView, TrustView},
};

use super::{Belief, Fingerprint, Trust};

impl Trust {
    /// Whom this client trusts of the vendor.
    pub fn view(&self) -> TrustView {
        let belief = self.shared.belief.borrow().clone();
        let bundle = &belief.bundle;
        let mesh = roots(&belief, "mesh", &bundle.mesh_roots);
        let operators = roots(&belief, "operator", &bundle.operator_roots);
        TrustView {
            vendor: bundle.vendor.to_string(),
            sequence: bundle.sequence,
            expires_ms: bundle.expires.0,
            roots: mesh.chain(operators).chain(elsewhere(&belief)).collect(),
            last_error: self.shared.refused.lock().clone(),
            broker_addresses: bundle.broker_addresses.clone(),
        }
    }

    /// What of it needs somebody, one sentence each.
    pub fn warnings(&self, now: UnixMillis) -> Vec<String> {
        let belief = self.shared.belief.borrow().clone();
        let renewal = self.shared.renewal.lock().clone();
        let renewal = (!renewal.is_empty()).then_some(renewal);
        [old(&belief.bundle, now), nobody(&belief)].into_iter().flatten().chain(renewal).collect()
    }
}

/// A broker that withholds the newer bundle is not seen otherwise.
fn old(bundle: &TrustBundle, now: UnixMillis) -> Option<String> {
    let left = bundle.expires.since(now);
    let old = left < TrustBundle::MAX_LIFE.saturating_sub(OLD);
    old.then(|| format!(
        "the trust bundle is older than 60 days and ends at {}: no newer one has come; ask the vendor, and run `tunnel-client roots import FILE`",
        bundle.expires
    ))
}

fn nobody(belief: &Belief) -> Option<String> {
    let none = |roots: &Roots| roots.certificates().is_empty();
    let operators = none(&belief.operator_roots()).then_some("operator");
    let whose = operators.or_else(|| none(&belief.mesh_roots()).then_some("mesh"))?;
    Some(format!("every {whose} root of the trust bundle was removed here (`tunnel-client roots list`)"))
}

fn roots<'b>(belief: &'b Belief, purpose: &'b str, roots: &'b Roots) -> impl Iterator<Item = RootView> + 'b {
    roots.certificates().iter().map(move |der| {
        let read = Summary::read(der).ok();
        RootView {
            fingerprint: Fingerprint::of(der).to_string(),
            purpose: purpose.to_owned(),
            subject: read.as_ref().map(|read| read.subject.clone()).unwrap_or_default(),
            not_after_ms: read.map_or(0, |read| read.not_after.0),
            removed: !belief.trusts(der),
        }
    })
}

/// Roots that were removed here and that the bundle in force does not have.
fn elsewhere(belief: &Belief) -> impl Iterator<Item = RootView> + '_ {
    let both = [&belief.bundle.mesh_roots, &belief.bundle.operator_roots];
    let here = move |root: &Fingerprint| {
        both.iter().any(|roots| roots.certificates().iter().any(|der| Fingerprint::of(der) == *root))
    };
    let gone = belief.removed.iter().filter(move |root| !here(root));
    gone.map(|root| RootView { fingerprint: root.to_string(), removed: true, ..RootView::default() })
}

/// Renewed by then; a bundle lives 90 days.
const OLD: Duration = Duration::from_secs(60 * 24 * 3600);
