//! Contexts: who the operator is, which vendor key they pin, and where the operators' API and the doors are.
//!
//! The vendor keys are copied into the context at login and come from nowhere else.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};
use tunnel_certs::key::PublicKey;
use tunnel_protos::{Name, OperatorName, Suffix, VendorName};

mod store;

pub use store::{Contexts, Error};

/// The name of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextName(Name);

impl ContextName {
    /// The name that is used when a login gives none.
    pub fn initial() -> Self {
        Self("default".parse().expect("a name by its grammar"))
    }
}

impl FromStr for ContextName {
    type Err = tunnel_protos::name::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One context, as a login made it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Files of the operator's identity.
    pub identity: IdentityFiles,
    /// The vendor, from the operator's certificate.
    pub vendor: VendorName,
    /// The operator, from the operator's certificate.
    pub operator: OperatorName,
    /// The keys that sign inventory entries.
    pub vendor_keys: Vec<PublicKey>,
    /// Where the operators' API is.
    pub api: ApiAddress,
    /// The DNS suffix of doors.
    pub suffix: Suffix,
    /// Where sessions connect to instead of the door's DNS name.
    pub connect_address: Option<String>,
}

/// Files of the operator's identity; read at each use, since such a certificate lives 12 hours at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityFiles {
    /// The certificate (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// Where the operators' API is and how its server proves itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiAddress {
    /// `host:port`.
    pub address: String,
    /// The name in its certificate.
    pub name: String,
    /// CA certificates (PEM); absent for the system's public roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}
