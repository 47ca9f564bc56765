//! Whose requests these are, and what opens, verifies, signs and issues for them: as it is now, since keys, roots and
//! CAs are replaced while the client runs.

use std::sync::Arc;

use tokio::sync::watch;
use tunnel_certs::verify::OperatorVerifier;
use tunnel_protos::{ClusterName, Label, UnixMillis};

use super::keyring::Keyring;
use crate::{policy::Targets, trust::AccessCas};

/// The cluster and its keys.
#[derive(Debug)]
pub struct Room {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// Its label.
    pub label: Label,
    /// Open requests and sign outcomes.
    pub keys: watch::Receiver<Arc<Keyring>>,
    /// Issue grant certificates.
    pub access: watch::Receiver<Arc<AccessCas>>,
    /// Verify operators.
    pub operators: watch::Receiver<Arc<Operators>>,
    /// The targets that the profile lists.
    pub targets: watch::Receiver<Arc<Targets>>,
    /// Whether requests are taken: there is an inventory entry with our own keys.
    pub admission: watch::Receiver<Admission>,
}

/// Who counts as an operator, and for how long that is known.
#[derive(Debug, Clone)]
pub struct Operators {
    /// Verifies them.
    pub verifier: OperatorVerifier,
    /// The end of the trust bundle that names their roots.
    pub until: UnixMillis,
}

/// Whether requests are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// They are, while the trust bundle that names the operators' roots lasts.
    Open,
    /// They are not; the text says why, for the customer.
    Refusing(String),
}

impl Room {
    /// Why requests are not taken at `now`; none if they are.
    pub(super) fn refusing(&self, now: UnixMillis) -> Option<String> {
        if let Admission::Refusing(why) = &*self.admission.borrow() {
            return Some(why.clone());
        }
        let expired = self.operators.borrow().until <= now;
        expired.then(|| "the trust bundle has expired; ask the vendor for a newer one".to_owned())
    }
}
