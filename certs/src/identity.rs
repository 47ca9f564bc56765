//! Who a certificate speaks for: SPIFFE URIs of brokers, replicas, operators and grants.

use std::{fmt, str::FromStr};

use tunnel_protos::{BrokerId, GrantId, Label, OperatorName, ReplicaId, VendorName};

/// A URI that is no identity of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an identity: spiffe://<vendor>/v1/{{broker/<id>|replica/<label>/<id>|operator/<name>}} or spiffe://<label>/v1/grant/<id>"
)]
pub struct IdentityError;

/// The single URI name of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// `spiffe://<vendor>/v1/broker/<id>`, under the mesh CA.
    Broker {
        /// The fleet's vendor.
        vendor: VendorName,
        /// Which broker.
        id: BrokerId,
    },
    /// `spiffe://<vendor>/v1/replica/<label>/<id>`, under the mesh CA.
    Replica {
        /// The vendor it dials.
        vendor: VendorName,
        /// Its cluster.
        label: Label,
        /// Which replica.
        id: ReplicaId,
    },
    /// `spiffe://<vendor>/v1/operator/<name>`, under the operator CA.
    Operator {
        /// The operator's vendor.
        vendor: VendorName,
        /// Who.
        name: OperatorName,
    },
    /// `spiffe://<label>/v1/grant/<grant>`, under the cluster's access CA.
    Grant {
        /// The cluster that granted.
        label: Label,
        /// What was granted.
        grant: GrantId,
    },
}

/// The role that an identity plays; told apart by URI path and extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Listens for replicas and dials its peers.
    Broker,
    /// Dials brokers.
    Replica,
    /// Signs requests and calls the broker's API.
    Operator,
    /// Opens sessions at one gate.
    Grant,
}

impl Identity {
    /// The role.
    pub fn role(&self) -> Role {
        match self {
            Self::Broker { .. } => Role::Broker,
            Self::Replica { .. } => Role::Replica,
            Self::Operator { .. } => Role::Operator,
            Self::Grant { .. } => Role::Grant,
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        todo!()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
