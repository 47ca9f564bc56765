//! Where this client belongs, whoever says so.

use crate::config::{Cluster, Config};

/// Where this client belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The cluster.
    pub cluster: Cluster,
}

/// Why nobody knows where this client belongs.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// No place names any cluster.
    #[error("nothing says which cluster this is: set `cluster`, `trust`, `inventoryEntry` and `mesh`")]
    NoCluster,
}

impl Home {
    /// Looks where it may be said.
    pub fn read(config: &Config) -> Result<Self, HomeError> {
        let cluster = config.cluster.clone().ok_or(HomeError::NoCluster)?;
        Ok(Self { cluster })
    }
}
