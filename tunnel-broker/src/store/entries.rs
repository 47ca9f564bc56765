//! Inventory entries that were published through the API: one row per cluster.

use tunnel_protos::{ClusterName, UnixMillis};

use super::{Store, StoreError};

impl Store {
    /// Envelopes of all entries, at most as many as one broker carries clusters.
    pub(crate) async fn entries(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let select = sqlx::query_scalar("SELECT envelope FROM entries ORDER BY cluster LIMIT $1").bind(MOST);
        self.bounded(select.fetch_all(&self.pool)).await
    }

    /// Keeps the entry of a cluster in the place of the one before; the same again writes nothing.
    pub(crate) async fn put_entry(
        &self,
        cluster: &ClusterName,
        envelope: &[u8],
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO entries (cluster, envelope, published_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (cluster) DO UPDATE SET envelope = $2, published_ms = $3 WHERE entries.envelope <> $2",
        )
        .bind(cluster.as_str())
        .bind(envelope)
        .bind(now.0);
        self.bounded(insert.execute(&self.pool)).await.map(|_| ())
    }
}

/// As many as the folder of entries may hold.
const MOST: i64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    #[tokio::test]
    async fn each_cluster_has_its_last_one() {
        let (store, _folder) = temporary().await;
        let put = async |cluster: &str, n: u8| {
            store.put_entry(&cluster.parse().unwrap(), &[n], UnixMillis(1)).await.unwrap();
        };
        put("b/b", 1).await;
        put("a/a", 2).await;
        put("b/b", 3).await;
        assert_eq!(store.entries().await.unwrap(), [vec![2], vec![3]]);
    }
}
