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

impl Identity {
    /// The last part, for a certificate's subject: for people only, never read back.
    pub(crate) fn common_name(&self) -> String {
        match self {
            Self::Broker { id, .. } => id.to_string(),
            Self::Replica { id, .. } => id.to_string(),
            Self::Operator { name, .. } => name.to_string(),
            Self::Grant { grant, .. } => grant.to_string(),
        }
    }
}

impl Role {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Replica => "replica",
            Self::Operator => "operator",
            Self::Grant => "grant",
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    /// Accepts exactly what `Display` writes: no other case, escape, port, query or trailing slash.
    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let parts: Vec<_> = uri.strip_prefix("spiffe://").ok_or(IdentityError)?.splitn(6, '/').collect();
        match *parts {
            [vendor, "v1", "broker", id] => Ok(Self::Broker { vendor: read(vendor)?, id: read(id)? }),
            [vendor, "v1", "replica", label, id] => {
                Ok(Self::Replica { vendor: read(vendor)?, label: read(label)?, id: read(id)? })
            }
            [vendor, "v1", "operator", name] => {
                Ok(Self::Operator { vendor: read(vendor)?, name: read(name)? })
            }
            [label, "v1", "grant", grant] => Ok(Self::Grant { label: read(label)?, grant: read(grant)? }),
            _ => Err(IdentityError),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker { vendor, id } => write!(f, "spiffe://{vendor}/v1/broker/{id}"),
            Self::Replica { vendor, label, id } => write!(f, "spiffe://{vendor}/v1/replica/{label}/{id}"),
            Self::Operator { vendor, name } => write!(f, "spiffe://{vendor}/v1/operator/{name}"),
            Self::Grant { label, grant } => write!(f, "spiffe://{label}/v1/grant/{grant}"),
        }
    }
}

fn read<T: FromStr>(text: &str) -> Result<T, IdentityError> {
    text.parse().map_err(|_| IdentityError)
}

#[cfg(test)]
mod tests {
    use tunnel_protos::RequestId;

    use super::*;

    fn all() -> Vec<Identity> {
        let vendor: VendorName = "initech".parse().unwrap();
        let label = Label::from_random([3; 17]);
        vec![
            Identity::Broker { vendor: vendor.clone(), id: "b1".parse().unwrap() },
            Identity::Replica { vendor: vendor.clone(), label, id: "r1".parse().unwrap() },
            Identity::Operator { vendor, name: "alice".parse().unwrap() },
            Identity::Grant { label, grant: RequestId::random().into() },
        ]
    }

    #[test]
    fn reads_what_it_writes() {
        for identity in all() {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn accepts_one_spelling_only() {
        for identity in all() {
            let uri = identity.to_string();
            for bad in [
                uri.to_uppercase(),
                uri.replace("spiffe", "SPIFFE"),
                uri.replace("/v1/", "/v2/"),
                uri.replace("/v1/", "//v1/"),
                format!("{uri}/"),
                format!("{uri}/x"),
                format!("{uri}?x=1"),
                format!("{uri}#x"),
                format!(" {uri}"),
                format!("{uri}\0"),
                uri.replace("/v1/", "/v1/%67rant/"),
            ] {
                assert!(bad.parse::<Identity>().is_err(), "{bad}");
            }
        }
        assert!("spiffe://initech/v1/admin/alice".parse::<Identity>().is_err());
    }
}
