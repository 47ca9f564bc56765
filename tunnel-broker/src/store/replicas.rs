//! Replicas that hold or held a mesh certificate. An identity is given once and never to a second cluster.

use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};
use tunnel_protos::{Label, ReplicaId, UnixMillis};

use super::{Store, StoreError};

/// A replica as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    /// Its cluster.
    pub(crate) label: Label,
    /// Which replica.
    pub(crate) id: ReplicaId,
    /// End of its newest certificate.
    pub(crate) not_after: UnixMillis,
    /// When it last had a tunnel; 0 for never.
    pub(crate) last_seen: UnixMillis,
}

/// A replica that had a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Who.
    pub(crate) replica: (Label, ReplicaId),
    /// End of the certificate that it showed.
    pub(crate) not_after: UnixMillis,
    /// When.
    pub(crate) at: UnixMillis,
}

impl Store {
    /// Replicas after `after` in the order of label and id; of one cluster if `label` says so.
    pub(crate) async fn replicas(
        &self,
        label: Option<Label>,
        after: (&str, &str),
        limit: u32,
    ) -> Result<Vec<Replica>, StoreError> {
        let select = sqlx::query(
            "SELECT label, id, not_after_ms, last_seen_ms FROM replicas \
             WHERE ($1 = '' OR label = $1) AND (label > $2 OR (label = $2 AND id > $3)) \
             ORDER BY label, id LIMIT $4",
        )
        .bind(label.map(|label| label.to_string()).unwrap_or_default())
        .bind(after.0)
        .bind(after.1)
        .bind(i64::from(limit));
        let rows = self.bounded(select.fetch_all(&self.pool)).await?;
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Gives the key an identity in its cluster, the one that it has if it has one; none if the cluster has `most`
    /// replicas with a certificate that still holds.
    pub(crate) async fn admit_replica(
        &self,
        label: Label,
        id: &ReplicaId,
        key: &[u8],
        (now, not_after): (UnixMillis, UnixMillis),
        most: u32,
    ) -> Result<Option<ReplicaId>, StoreError> {
        let admit = async {
            let mut transaction = self.begin().await?;
            let known = with_key(&mut transaction, label, key).await?;
            if known.is_none() && count(&mut transaction, label, now).await? >= i64::from(most) {
                return Ok(None);
            }
            let id = identify(&mut transaction, label, (known, id), key, not_after).await?;
            transaction.commit().await?;
            Ok(Some(id))
        };
        self.bounded(admit).await
    }

    /// Notes that a replica was certified.
    pub(crate) async fn certify_replica(
        &self,
        label: Label,
        id: &ReplicaId,
        key: &[u8],
        not_after: UnixMillis,
    ) -> Result<(), StoreError> {
        let certify = async {
            let mut transaction = self.begin().await?;
            certify(&mut transaction, label, id, key, not_after).await?;
            transaction.commit().await
        };
        self.bounded(certify).await
    }

    /// Until when this key was certified as this replica's; none if another was, or none.
    pub(crate) async fn certified(
        &self,
        label: Label,
        id: &ReplicaId,
        key: &[u8],
    ) -> Result<Option<UnixMillis>, StoreError> {
        let select = sqlx::query_scalar::<_, i64>(
            "SELECT not_after_ms FROM replicas WHERE label = $1 AND id = $2 AND public_key = $3",
        )
        .bind(label.to_string())
        .bind(id.to_string())
        .bind(key);
        Ok(self.bounded(select.fetch_optional(&self.pool)).await?.map(UnixMillis))
    }

    /// Notes who had a tunnel, in one transaction.
    pub(crate) async fn note_seen(&self, sightings: &[Sighting]) -> Result<(), StoreError> {
        let note = async {
            let mut transaction = self.begin().await?;
            for sighting in sightings {
                let insert = sqlx::query(
                    "INSERT INTO replicas (label, id, not_after_ms, last_seen_ms) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (label, id) DO UPDATE SET last_seen_ms = $4, not_after_ms = \
                     CASE WHEN replicas.not_after_ms > $3 THEN replicas.not_after_ms ELSE $3 END",
                )
                .bind(sighting.replica.0.to_string())
                .bind(sighting.replica.1.as_str())
                .bind(sighting.not_after.0)
                .bind(sighting.at.0);
                insert.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        self.bounded(note).await
    }

    /// Forgets replicas whose certificates ended before `before`, and their acknowledgements. Banned ones stay with their
    /// keys, or a banned key would be another replica one day.
    pub(crate) async fn forget_replicas(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let forget = async {
            let mut transaction = self.begin().await?;
            let unbanned = "DELETE FROM replicas WHERE not_after_ms < $1 AND NOT EXISTS (SELECT 1 FROM bans \
                            WHERE bans.label = replicas.label AND bans.replica = replicas.id)";
            let replicas = sqlx::query(unbanned).bind(before.0);
            let gone = replicas.execute(&mut *transaction).await?.rows_affected();
            let orphans = "DELETE FROM acknowledgements WHERE NOT EXISTS (SELECT 1 FROM replicas \
                           WHERE replicas.label = acknowledgements.label AND replicas.id = acknowledgements.replica)";
            sqlx::query(orphans).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(gone)
        };
        self.bounded(forget).await
    }
}

/// The identity that a key has in its cluster.
pub(super) async fn with_key(
    transaction: &mut Transaction<'static, Sqlite>,
    label: Label,
    key: &[u8],
) -> Result<Option<ReplicaId>, sqlx::Error> {
    let select = sqlx::query_scalar::<_, String>(
        "SELECT id FROM replicas WHERE label = $1 AND public_key = $2 ORDER BY id LIMIT 1",
    )
    .bind(label.to_string())
    .bind(key);
    let id = select.fetch_optional(&mut **transaction).await?;
    Ok(id.and_then(|id| id.parse().ok()))
}

/// Notes the key's certificate under the identity that it has, or else under `fresh`, which must be nobody's.
pub(super) async fn identify(
    transaction: &mut Transaction<'static, Sqlite>,
    label: Label,
    (known, fresh): (Option<ReplicaId>, &ReplicaId),
    key: &[u8],
    not_after: UnixMillis,
) -> Result<ReplicaId, sqlx::Error> {
    if let Some(known) = known {
        certify(transaction, label, &known, key, not_after).await?;
        return Ok(known);
    }
    let insert = sqlx::query(
        "INSERT INTO replicas (label, id, public_key, not_after_ms, last_seen_ms) VALUES ($1, $2, $3, $4, 0)",
    )
    .bind(label.to_string())
    .bind(fresh.as_str())
    .bind(key)
    .bind(not_after.0);
    insert.execute(&mut **transaction).await?;
    Ok(fresh.clone())
}

/// Notes which key a replica was certified for, and until when at most.
pub(super) async fn certify(
    transaction: &mut Transaction<'static, Sqlite>,
    label: Label,
    id: &ReplicaId,
    key: &[u8],
    not_after: UnixMillis,
) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO replicas (label, id, public_key, not_after_ms, last_seen_ms) VALUES ($1, $2, $3, $4, 0) \
         ON CONFLICT (label, id) DO UPDATE SET public_key = $3, not_after_ms = $4",
    )
    .bind(label.to_string())
    .bind(id.as_str())
    .bind(key)
    .bind(not_after.0);
    insert.execute(&mut **transaction).await.map(|_| ())
}

async fn count(
    transaction: &mut Transaction<'static, Sqlite>,
    label: Label,
    now: UnixMillis,
) -> Result<i64, sqlx::Error> {
    let select = sqlx::query_scalar("SELECT COUNT(*) FROM replicas WHERE label = $1 AND not_after_ms > $2")
        .bind(label.to_string())
        .bind(now.0);
    select.fetch_one(&mut **transaction).await
}

fn read(row: &SqliteRow) -> Option<Replica> {
    Some(Replica {
        label: row.get::<&str, _>(0).parse().ok()?,
        id: row.get::<&str, _>(1).parse().ok()?,
        not_after: UnixMillis(row.get(2)),
        last_seen: UnixMillis(row.get(3)),
    })
}
