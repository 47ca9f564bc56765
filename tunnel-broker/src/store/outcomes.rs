//! Sealed outcomes: named by the SHA-256 of their bytes, the newest 8 per request, in their order of arrival.

use prost::Message;
use sqlx::Row;
use tunnel_protos::{EnvelopeId, Label, v1::SealedOutcome};

use super::{Store, StoreError};

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is new.
    New,
    /// It was here already.
    Known,
    /// It answers no request that this cluster was sent.
    Unasked,
}

/// Place of an outcome among those of its request; counts up from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Arrival(i64);

impl Store {
    /// Keeps an outcome that the cluster `label` sent about its request `id`.
    pub(crate) async fn insert_outcome(
        &self,
        id: EnvelopeId,
        label: Label,
        sha256: [u8; 32],
        sealed: &SealedOutcome,
    ) -> Result<Kept, StoreError> {
        // Looked at first without the write lock, so that repeats and strangers' outcomes cost no writer anything.
        match self.bounded(self.known(id, label, sha256)).await? {
            Some(known) => Ok(known),
            None => self.bounded(self.keep(id, label, sha256, sealed.encode_to_vec())).await,
        }
    }

    /// What became of an outcome that is not to be stored.
    async fn known(
        &self,
        id: EnvelopeId,
        label: Label,
        sha256: [u8; 32],
    ) -> Result<Option<Kept>, sqlx::Error> {
        let select = sqlx::query_scalar::<_, i64>(
            "SELECT COUNT(outcomes.sha256) FROM requests LEFT JOIN outcomes \
             ON outcomes.envelope_id = requests.envelope_id AND outcomes.sha256 = $3 \
             WHERE requests.envelope_id = $1 AND label = $2 GROUP BY requests.envelope_id",
        )
        .bind(id.as_bytes().as_slice())
        .bind(label.to_string())
        .bind(sha256.as_slice());
        Ok(match select.fetch_optional(&self.pool).await? {
            None => Some(Kept::Unasked),
            Some(0) => None,
            Some(_) => Some(Kept::Known),
        })
    }

    async fn keep(
        &self,
        id: EnvelopeId,
        label: Label,
        sha256: [u8; 32],
        sealed: Vec<u8>,
    ) -> Result<Kept, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let asked = sqlx::query("SELECT 1 FROM requests WHERE envelope_id = $1 AND label = $2")
            .bind(id.as_bytes().as_slice())
            .bind(label.to_string());
        if asked.fetch_optional(&mut *transaction).await?.is_none() {
            return Ok(Kept::Unasked);
        }
        let insert = sqlx::query(
            "INSERT INTO outcomes (envelope_id, sha256, arrival, sealed) \
             SELECT $1, $2, COALESCE(MAX(arrival), 0) + 1, $3 FROM outcomes WHERE envelope_id = $1 \
             ON CONFLICT (envelope_id, sha256) DO NOTHING",
        )
        .bind(id.as_bytes().as_slice())
        .bind(sha256.as_slice())
        .bind(sealed);
        if insert.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(Kept::Known);
        }
        let trim = "DELETE FROM outcomes WHERE envelope_id = $1 AND arrival <= \
                    (SELECT MAX(arrival) FROM outcomes WHERE envelope_id = $1) - $2";
        let trim = sqlx::query(trim).bind(id.as_bytes().as_slice()).bind(KEPT_PER_REQUEST);
        trim.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Kept::New)
    }

    /// The outcomes of `id` that arrived after `after`, in their order.
    pub(crate) async fn outcomes(
        &self,
        id: EnvelopeId,
        after: Arrival,
    ) -> Result<Vec<(Arrival, SealedOutcome)>, StoreError> {
        let select = sqlx::query(
            "SELECT arrival, sealed FROM outcomes WHERE envelope_id = $1 AND arrival > $2 ORDER BY arrival",
        )
        .bind(id.as_bytes().as_slice())
        .bind(after.0);
        let rows = self.bounded(select.fetch_all(&self.pool)).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Some((Arrival(row.get(0)), SealedOutcome::decode(row.get::<&[u8], _>(1)).ok()?))
        };
        Ok(rows.iter().filter_map(read).collect())
    }
}

/// The states of one request are few; a client that sends more keeps only its newest.
const KEPT_PER_REQUEST: i64 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        requests::tests::{LABEL, hold},
        tests::temporary,
    };

    fn outcome(id: EnvelopeId, n: u8) -> SealedOutcome {
        SealedOutcome { envelope_id: id.as_bytes().to_vec(), enc: vec![n; 32], ciphertext: vec![n].into() }
    }

    async fn kept(store: &Store, id: EnvelopeId) -> Vec<u8> {
        let all = store.outcomes(id, Arrival::default()).await.unwrap();
        all.iter().map(|(_, outcome)| outcome.ciphertext[0]).collect()
    }

    #[tokio::test]
    async fn outcomes_are_idempotent_by_their_bytes_and_keep_their_order() {
        let (store, _folder) = temporary().await;
        let id = hold(&store, 1).await;
        for (n, wanted) in [(1, Kept::New), (2, Kept::New), (1, Kept::Known), (3, Kept::New)] {
            let kept = store.insert_outcome(id, LABEL(), [n; 32], &outcome(id, n)).await.unwrap();
            assert_eq!(kept, wanted, "{n}");
        }
        assert_eq!(kept(&store, id).await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn only_the_last_eight_outcomes_stay() {
        let (store, _folder) = temporary().await;
        let id = hold(&store, 1).await;
        for n in 1..=11 {
            store.insert_outcome(id, LABEL(), [n; 32], &outcome(id, n)).await.unwrap();
        }
        assert_eq!(kept(&store, id).await, [4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[tokio::test]
    async fn outcomes_of_foreign_or_unknown_requests_are_not_kept() {
        let (store, _folder) = temporary().await;
        let id = hold(&store, 1).await;
        let foreign = "k3v7bbbbbb".parse().unwrap();
        assert_eq!(store.insert_outcome(id, foreign, [1; 32], &outcome(id, 1)).await.unwrap(), Kept::Unasked);
        let unknown = EnvelopeId::new([9; 32]);
        let result = store.insert_outcome(unknown, LABEL(), [1; 32], &outcome(unknown, 1)).await;
        assert_eq!(result.unwrap(), Kept::Unasked);
        assert!(kept(&store, id).await.is_empty());
    }

    #[tokio::test]
    async fn outcomes_continue_after_an_arrival() {
        let (store, _folder) = temporary().await;
        let id = hold(&store, 1).await;
        for n in 1..=3 {
            store.insert_outcome(id, LABEL(), [n; 32], &outcome(id, n)).await.unwrap();
        }
        let first = store.outcomes(id, Arrival::default()).await.unwrap()[0].0;
        assert_eq!(store.outcomes(id, first).await.unwrap().len(), 2);
    }
}
