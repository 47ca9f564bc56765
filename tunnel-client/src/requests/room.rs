//! What `requests/` is told once, at build: whose requests these are, and the keys that open, sign and issue.

use std::sync::Arc;

use tunnel_certs::{
    issue::Authority,
    key::{SealingKey, Signer},
    statement::request::Place,
    verify::OperatorVerifier,
};
use tunnel_protos::{ClusterName, Label, UnixMillis};

use crate::policy::Targets;

/// The cluster and its keys.
#[derive(Debug)]
pub struct Room {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// Its label.
    pub label: Label,
    /// Signs outcomes.
    pub cluster_key: Arc<dyn Signer>,
    /// Opens requests.
    pub sealing_key: Arc<SealingKey>,
    /// Issues grant certificates.
    pub access_ca: Arc<Authority>,
    /// Verifies operators.
    pub operators: OperatorVerifier,
    /// The targets that the profile lists.
    pub targets: Targets,
    /// Whether requests are taken: there is an inventory entry with our own keys.
    pub admission: Admission,
}

/// Whether requests are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// They are, while the trust bundle that names the operators' roots lasts.
    Open {
        /// Its end.
        until: UnixMillis,
    },
    /// They are not; the text says why, for the customer.
    Refusing(String),
}

impl Room {
    /// Why requests are not taken at `now`; none if they are.
    pub(super) fn refusing(&self, now: UnixMillis) -> Option<String> {
        match &self.admission {
            Admission::Refusing(why) => Some(why.clone()),
            Admission::Open { until } if *until <= now => {
                Some("the trust bundle has expired; ask the vendor for a newer one".to_owned())
            }
            Admission::Open { .. } => None,
        }
    }

    /// Who and where a request must be from and for.
    pub(super) fn place(&self) -> Place<'_> {
        Place { operators: &self.operators, cluster: &self.cluster, label: &self.label }
    }
}
