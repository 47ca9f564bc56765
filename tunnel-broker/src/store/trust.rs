//! The trust bundle that was put into force while the broker ran: one row.

use sqlx::Row;
use tunnel_protos::UnixMillis;

use super::{Store, StoreError};

/// A trust bundle as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The envelope.
    pub(crate) envelope: Vec<u8>,
    /// The vendor key that signed it, of the list before: 32 bytes.
    pub(crate) signer: Vec<u8>,
}

impl Store {
    /// The one that was kept last.
    pub(crate) async fn trust_bundle(&self) -> Result<Option<Kept>, StoreError> {
        let select = sqlx::query("SELECT envelope, signer FROM trust_bundles WHERE id = 1");
        let row = self.bounded(select.fetch_optional(&self.pool)).await?;
        Ok(row.map(|row| Kept { envelope: row.get(0), signer: row.get(1) }))
    }

    /// Keeps one in the place of the one before.
    pub(crate) async fn put_trust_bundle(&self, kept: &Kept, now: UnixMillis) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO trust_bundles (id, envelope, signer, published_ms) VALUES (1, $1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET envelope = $1, signer = $2, published_ms = $3",
        )
        .bind(&kept.envelope)
        .bind(&kept.signer)
        .bind(now.0);
        self.bounded(insert.execute(&self.pool)).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::temporary;

    #[tokio::test]
    async fn the_one_kept_last_is_there() {
        let (store, _folder) = temporary().await;
        assert_eq!(store.trust_bundle().await.unwrap(), None);
        for n in [1, 2] {
            let kept = Kept { envelope: vec![n], signer: vec![n; 32] };
            store.put_trust_bundle(&kept, UnixMillis(n.into())).await.unwrap();
            assert_eq!(store.trust_bundle().await.unwrap(), Some(kept));
        }
    }
}
