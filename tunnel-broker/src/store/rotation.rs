//! The phase of the mesh rotation, and who acknowledged what.

use prost::Message;
use sqlx::Row;
use tunnel_protos::{
    Label, ReplicaId, UnixMillis,
    v1::{Envelope, RotationPhase},
};

use super::{Store, StoreError};

/// How far one replica is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    /// Who.
    pub(crate) replica: (Label, ReplicaId),
    /// When it last had a tunnel.
    pub(crate) last_seen: UnixMillis,
    /// Its newest acknowledgement.
    pub(crate) acknowledgement: Option<Envelope>,
}

impl Store {
    /// The phase; standby before the first rotation.
    pub(crate) async fn phase(&self) -> Result<RotationPhase, StoreError> {
        let select = sqlx::query_scalar::<_, i64>("SELECT phase FROM rotation WHERE id = 1");
        let number = self.bounded(select.fetch_optional(&self.pool)).await?;
        let phase = number.and_then(|number| RotationPhase::try_from(i32::try_from(number).ok()?).ok());
        Ok(phase.unwrap_or(RotationPhase::Standby))
    }

    /// Enters a phase.
    pub(crate) async fn put_phase(&self, phase: RotationPhase, now: UnixMillis) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO rotation (id, phase, changed_ms) VALUES (1, $1, $2) \
             ON CONFLICT (id) DO UPDATE SET phase = $1, changed_ms = $2",
        )
        .bind(i64::from(i32::from(phase)))
        .bind(now.0);
        self.bounded(insert.execute(&self.pool)).await.map(|_| ())
    }

    /// Keeps the newest acknowledgement of a replica; the same again, as it comes after every attach, writes nothing.
    pub(crate) async fn put_acknowledgement(
        &self,
        label: Label,
        replica: &ReplicaId,
        envelope: &Envelope,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO acknowledgements (label, replica, envelope, received_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (label, replica) DO UPDATE SET envelope = $3, received_ms = $4 \
             WHERE acknowledgements.envelope <> $3",
        )
        .bind(label.to_string())
        .bind(replica.as_str())
        .bind(envelope.encode_to_vec())
        .bind(now.0);
        self.bounded(insert.execute(&self.pool)).await.map(|_| ())
    }

    /// Replicas whose certificates end after `ends`, with their newest acknowledgements; those after `after` in the order of
    /// label and id.
    pub(crate) async fn progress(
        &self,
        ends: UnixMillis,
        after: (&str, &str),
        limit: u32,
    ) -> Result<Vec<Progress>, StoreError> {
        let select = sqlx::query(
            "SELECT replicas.label, id, last_seen_ms, envelope FROM replicas LEFT JOIN acknowledgements \
             ON acknowledgements.label = replicas.label AND acknowledgements.replica = replicas.id \
             WHERE not_after_ms > $1 AND (replicas.label > $2 OR (replicas.label = $2 AND id > $3)) \
             ORDER BY replicas.label, id LIMIT $4",
        )
        .bind(ends.0)
        .bind(after.0)
        .bind(after.1)
        .bind(i64::from(limit));
        let rows = self.bounded(select.fetch_all(&self.pool)).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let envelope = row.get::<Option<&[u8]>, _>(3).and_then(|bytes| Envelope::decode(bytes).ok());
            Some(Progress {
                replica: (row.get::<&str, _>(0).parse().ok()?, row.get::<&str, _>(1).parse().ok()?),
                last_seen: UnixMillis(row.get(2)),
                acknowledgement: envelope,
            })
        };
        Ok(rows.iter().filter_map(read).collect())
    }
}
