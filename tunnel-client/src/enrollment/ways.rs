//! Which ways lead to a mesh certificate now. Pure.

use std::path::PathBuf;

use tunnel_certs::{credential::Credential, enrollment::Opened, verify::REISSUE_GRACE};
use tunnel_protos::UnixMillis;

/// One way.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Prove the key of the certificate that ran out.
    Reissue(Credential),
    /// Redeem the token of an enrollment bundle.
    Redeem(Box<Opened>),
    /// Show a service-account token.
    Join(PathBuf),
}

/// What to do about the certificate.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing before this.
    Rest(UnixMillis),
    /// Try these, in this order.
    Try(Vec<Way>),
    /// Nothing can be tried; why.
    Stuck(String),
}

/// What is at hand.
#[derive(Debug, Default)]
pub(super) struct Means {
    /// The newest certificate.
    pub(super) leaf: Option<Credential>,
    /// The enrollment bundle, or why it cannot be used.
    pub(super) bundle: Option<Result<Opened, String>>,
    /// Where a service-account token lies.
    pub(super) token: Option<PathBuf>,
}

/// What is left of a certificate is used first, the token of a bundle before an account that others may have, too.
pub(super) fn step(means: Means, now: UnixMillis) -> Step {
    let mut ways = Vec::new();
    let mut faults = Vec::new();
    if let Some(leaf) = means.leaf {
        let (_, end) = leaf.validity();
        if now <= end {
            return Step::Rest(end);
        }
        if now.since(end) <= REISSUE_GRACE {
            ways.push(Way::Reissue(leaf));
        } else {
            faults.push(format!("the mesh certificate ended more than 30 days ago, at {end}"));
        }
    }
    match means.bundle {
        Some(Ok(opened)) if opened.bundle.is_expired(now) => faults.push(expired(opened.bundle.expires)),
        Some(Ok(opened)) => ways.push(Way::Redeem(Box::new(opened))),
        Some(Err(fault)) => faults.push(fault),
        None => {}
    }
    ways.extend(means.token.map(Way::Join));
    match (ways.is_empty(), faults.is_empty()) {
        (false, _) => Step::Try(ways),
        (true, false) => Step::Stuck(faults.join("; ")),
        (true, true) => {
            Step::Stuck("there is no mesh certificate, and no enrollment bundle to get one with".to_owned())
        }
    }
}

fn expired(end: UnixMillis) -> String {
    format!("the enrollment bundle expired at {end} (or is this machine's clock wrong?)")
}
