//! Who may not come back.

use sqlx::Row;
use tunnel_protos::{Label, ReplicaId, UnixMillis};

use super::{Store, StoreError};

/// A ban, of one replica or of a whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ban<'b> {
    /// The cluster.
    pub(crate) label: Label,
    /// None for all of it.
    pub(crate) replica: Option<&'b ReplicaId>,
    /// For people.
    pub(crate) reason: &'b str,
    /// Who said so.
    pub(crate) by: &'b str,
}

impl Store {
    /// Every ban: cluster, and replica if not the whole cluster.
    pub(crate) async fn bans(&self) -> Result<Vec<(Label, Option<ReplicaId>)>, StoreError> {
        let select = sqlx::query("SELECT label, replica FROM bans");
        let rows = self.bounded(select.fetch_all(&self.pool)).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let label = row.get::<&str, _>(0).parse().ok()?;
            match row.get::<&str, _>(1) {
                "" => Some((label, None)),
                id => Some((label, Some(id.parse().ok()?))),
            }
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Keeps a ban; the first reason stays.
    pub(crate) async fn put_ban(&self, ban: &Ban<'_>, now: UnixMillis) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO bans (label, replica, reason, banned_by, banned_ms) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (label, replica) DO NOTHING",
        )
        .bind(ban.label.to_string())
        .bind(ban.replica.map(ReplicaId::as_str).unwrap_or_default())
        .bind(ban.reason)
        .bind(ban.by)
        .bind(now.0);
        self.bounded(insert.execute(&self.pool)).await.map(|_| ())
    }

    /// Takes a ban back.
    pub(crate) async fn remove_ban(
        &self,
        label: Label,
        replica: Option<&ReplicaId>,
    ) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM bans WHERE label = $1 AND replica = $2")
            .bind(label.to_string())
            .bind(replica.map(ReplicaId::as_str).unwrap_or_default());
        self.bounded(delete.execute(&self.pool)).await.map(|_| ())
    }
}
