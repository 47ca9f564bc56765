//! Who may not come back, known in memory so that nobody waits for the database to be refused.
//! Invariant: a ban holds from the moment it is said, whether or not it could be stored; a failure is told.

use std::collections::HashSet;

use parking_lot::RwLock;
use tracing::{info, warn};
use tunnel_protos::{Label, OperatorName, ReplicaId, UnixMillis};
use tunnel_runtime::chain;

use super::{AdminError, Banned, Enroll};
use crate::store::bans::Ban;

/// Who may not come back.
#[derive(Debug)]
pub(super) struct Bans(RwLock<HashSet<(Label, Option<ReplicaId>)>>);

impl Bans {
    /// As the database has them.
    pub(super) fn new(all: Vec<(Label, Option<ReplicaId>)>) -> Self {
        Self(RwLock::new(all.into_iter().collect()))
    }

    /// Whether this replica, or its whole cluster, is banned.
    pub(super) fn banned(&self, label: Label, replica: &ReplicaId) -> bool {
        let bans = self.0.read();
        // Most brokers ban nobody.
        !bans.is_empty() && (bans.contains(&(label, None)) || bans.contains(&(label, Some(replica.clone()))))
    }

    /// Whether the whole cluster is banned.
    pub(super) fn cluster_banned(&self, label: Label) -> bool {
        self.0.read().contains(&(label, None))
    }
}

impl Enroll {
    /// Bans a replica or a cluster: at once in memory, then for good. Closing its tunnels is the caller's.
    pub(crate) async fn ban(&self, banned: &Banned, now: UnixMillis) -> Result<(), AdminError> {
        let Banned { label, replica, reason, by } = banned;
        self.bans.0.write().insert((*label, replica.clone()));
        info!(%label, replica = replica.as_ref().map(ReplicaId::as_str), %by, %reason, "Banned");
        let ban = Ban { label: *label, replica: replica.as_ref(), reason, by: by.as_str() };
        self.store.put_ban(&ban, now).await.map_err(|error| {
            warn!(%label, error = %chain(&error), "A ban holds in memory only");
            AdminError::Store(error)
        })
    }

    /// Takes a ban back, once that is stored.
    pub(crate) async fn unban(
        &self,
        label: Label,
        replica: Option<&ReplicaId>,
        by: &OperatorName,
    ) -> Result<(), AdminError> {
        self.store.remove_ban(label, replica).await.map_err(AdminError::Store)?;
        self.bans.0.write().remove(&(label, replica.cloned()));
        info!(%label, replica = replica.map(ReplicaId::as_str), %by, "Ban taken back");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
