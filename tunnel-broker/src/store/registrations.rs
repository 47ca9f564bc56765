//! Registrations as they came. What they say is the cluster's own word until the vendor signed an entry with its keys.

use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};
use tunnel_protos::{Label, TokenId, UnixMillis};

use super::{Store, StoreError, tokens::Registered};

impl Store {
    /// What was redeemed with a token.
    pub(crate) async fn registration_of(&self, token: &TokenId) -> Result<Option<Registered>, StoreError> {
        let select = sqlx::query(
            "SELECT cluster_key, sealing_key, envelope, mac FROM registrations WHERE token = $1 LIMIT 1",
        )
        .bind(token.as_str());
        Ok(self.bounded(select.fetch_optional(&self.pool)).await?.as_ref().map(read))
    }

    /// The newest that a cluster sent over a tunnel.
    pub(crate) async fn newest_replacement(&self, label: Label) -> Result<Option<Registered>, StoreError> {
        let select = sqlx::query(
            "SELECT cluster_key, sealing_key, envelope, mac FROM registrations \
             WHERE label = $1 AND token = '' ORDER BY received_ms DESC LIMIT 1",
        )
        .bind(label.to_string());
        Ok(self.bounded(select.fetch_optional(&self.pool)).await?.as_ref().map(read))
    }

    /// The newest of a cluster with this cluster key, however it came.
    pub(crate) async fn registration_with(
        &self,
        label: Label,
        cluster_key: &[u8],
    ) -> Result<Option<Registered>, StoreError> {
        let select = sqlx::query(
            "SELECT cluster_key, sealing_key, envelope, mac FROM registrations \
             WHERE label = $1 AND cluster_key = $2 ORDER BY received_ms DESC LIMIT 1",
        )
        .bind(label.to_string())
        .bind(cluster_key);
        Ok(self.bounded(select.fetch_optional(&self.pool)).await?.as_ref().map(read))
    }

    /// Keeps what a cluster sent over a tunnel, and of those the newest few.
    pub(crate) async fn put_replacement(
        &self,
        label: Label,
        registration: &Registered,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let keep = async {
            let mut transaction = self.begin().await?;
            put(&mut transaction, label, "", registration, now).await?;
            let trim = sqlx::query(
                "DELETE FROM registrations WHERE label = $1 AND token = '' AND cluster_key NOT IN \
                 (SELECT cluster_key FROM registrations WHERE label = $1 AND token = '' \
                 ORDER BY received_ms DESC LIMIT $2)",
            )
            .bind(label.to_string())
            .bind(KEPT_PER_CLUSTER);
            trim.execute(&mut *transaction).await?;
            transaction.commit().await
        };
        self.bounded(keep).await
    }
}

/// Keeps a registration in the place of one with the same keys' owner and the same origin.
pub(super) async fn put(
    transaction: &mut Transaction<'static, Sqlite>,
    label: Label,
    token: &str,
    registration: &Registered,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO registrations (label, token, cluster_key, sealing_key, envelope, mac, received_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (label, token, cluster_key) DO UPDATE SET \
         sealing_key = $4, envelope = $5, mac = $6, received_ms = $7",
    )
    .bind(label.to_string())
    .bind(token)
    .bind(&registration.cluster_key)
    .bind(&registration.sealing_key)
    .bind(&registration.envelope)
    .bind(&registration.mac)
    .bind(now.0);
    insert.execute(&mut **transaction).await.map(|_| ())
}

fn read(row: &SqliteRow) -> Registered {
    Registered { cluster_key: row.get(0), sealing_key: row.get(1), envelope: row.get(2), mac: row.get(3) }
}

/// The one in force, the one that is to follow, and a few that never came to it.
const KEPT_PER_CLUSTER: i64 = 8;
