//! Sealed requests on their way: one row each, named by envelope id. Status only moves forward to an end.

use prost::Message;
use sqlx::Row;
use tunnel_protos::{EnvelopeId, Label, OperatorName, UnixMillis, operators::Delivery, v1::SealedRequest};

use super::{Store, StoreError};

/// A request to be put into the mailbox.
#[derive(Debug)]
pub(crate) struct NewRequest<'r> {
    /// Its name.
    pub(crate) id: EnvelopeId,
    /// The cluster it goes to.
    pub(crate) label: Label,
    /// Who handed it in.
    pub(crate) submitter: &'r OperatorName,
    /// The request itself, unread.
    pub(crate) sealed: &'r SealedRequest,
    /// Now.
    pub(crate) submitted: UnixMillis,
    /// When it is given up.
    pub(crate) lapses: UnixMillis,
}

/// How many requests may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// By one operator.
    pub(crate) per_operator: u32,
    /// In all.
    pub(crate) total: u32,
}

/// What became of an insert.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It is held now, or was already.
    Held(Delivery),
    /// Another operator handed it in before.
    Foreign,
    /// A quota is used up.
    Full,
}

/// What is known of a held request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Who handed it in.
    pub(crate) submitter: String,
    /// Where it is.
    pub(crate) delivery: Delivery,
}

impl Store {
    /// Holds a request unless it is held already or a quota is used up.
    pub(crate) async fn insert_request(
        &self,
        new: NewRequest<'_>,
        quota: Quota,
    ) -> Result<Inserted, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO requests (envelope_id, label, submitter, sealed, status, submitted_ms, lapses_ms) \
             SELECT $1, $2, $3, $4, $5, $6, $7 \
             WHERE (SELECT COUNT(*) FROM requests WHERE submitter = $3) < $8 \
             AND (SELECT COUNT(*) FROM requests) < $9 \
             ON CONFLICT (envelope_id) DO NOTHING",
        )
        .bind(new.id.as_bytes().as_slice())
        .bind(new.label.as_str())
        .bind(new.submitter.as_str())
        .bind(new.sealed.encode_to_vec())
        .bind(number(Delivery::Waiting))
        .bind(new.submitted.0)
        .bind(new.lapses.0)
        .bind(i64::from(quota.per_operator))
        .bind(i64::from(quota.total));
        if self.bounded(insert.execute(&self.pool)).await?.rows_affected() == 1 {
            return Ok(Inserted::Held(Delivery::Waiting));
        }
        Ok(match self.request(new.id).await? {
            Some(held) if held.submitter == new.submitter.as_str() => Inserted::Held(held.delivery),
            Some(_) => Inserted::Foreign,
            None => Inserted::Full,
        })
    }

    /// What is known of the request named `id`.
    pub(crate) async fn request(&self, id: EnvelopeId) -> Result<Option<Held>, StoreError> {
        let select = sqlx::query("SELECT submitter, status FROM requests WHERE envelope_id = $1")
            .bind(id.as_bytes().as_slice());
        let row = self.bounded(select.fetch_optional(&self.pool)).await?;
        Ok(row.map(|row| Held { submitter: row.get(0), delivery: delivery(row.get(1)) }))
    }

    /// Requests that a cluster has not taken yet, oldest first; rows that cannot be read are left out.
    pub(crate) async fn waiting(
        &self,
        label: Label,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<(EnvelopeId, SealedRequest)>, StoreError> {
        let select = sqlx::query(
            "SELECT envelope_id, sealed FROM requests \
             WHERE label = $1 AND status IN ($2, $3, $4) AND lapses_ms > $5 ORDER BY submitted_ms LIMIT $6",
        )
        .bind(label.to_string());
        let select = OPEN.iter().fold(select, |query, open| query.bind(number(*open)));
        let rows = self.bounded(select.bind(now.0).bind(i64::from(limit)).fetch_all(&self.pool)).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let id = EnvelopeId::try_from(row.get::<&[u8], _>(0)).ok()?;
            Some((id, SealedRequest::decode(row.get::<&[u8], _>(1)).ok()?))
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Labels that have requests waiting.
    pub(crate) async fn waiting_labels(&self, now: UnixMillis) -> Result<Vec<Label>, StoreError> {
        let select = sqlx::query_scalar::<_, String>(
            "SELECT DISTINCT label FROM requests WHERE status IN ($1, $2, $3) AND lapses_ms > $4",
        );
        let select = OPEN.iter().fold(select, |query, open| query.bind(number(*open)));
        let labels = self.bounded(select.bind(now.0).fetch_all(&self.pool)).await?;
        Ok(labels.iter().filter_map(|label| label.parse().ok()).collect())
    }

    /// Moves an unfinished request of `label` to `to`; returns whether there was one.
    pub(crate) async fn set_delivery(
        &self,
        id: EnvelopeId,
        label: Label,
        to: Delivery,
    ) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE requests SET status = $1 WHERE envelope_id = $2 AND label = $3 AND status IN ($4, $5, $6)",
        )
        .bind(number(to))
        .bind(id.as_bytes().as_slice())
        .bind(label.to_string());
        let update = OPEN.iter().fold(update, |query, open| query.bind(number(*open)));
        Ok(self.bounded(update.execute(&self.pool)).await?.rows_affected() == 1)
    }

    /// Gives up what was not taken in time and returns its names.
    pub(crate) async fn lapse(&self, now: UnixMillis) -> Result<Vec<EnvelopeId>, StoreError> {
        let update = sqlx::query_scalar::<_, Vec<u8>>(
            "UPDATE requests SET status = $1 WHERE lapses_ms <= $2 AND status IN ($3, $4, $5) \
             RETURNING envelope_id",
        )
        .bind(number(Delivery::Lapsed))
        .bind(now.0);
        let update = OPEN.iter().fold(update, |query, open| query.bind(number(*open)));
        let ids = self.bounded(update.fetch_all(&self.pool)).await?;
        Ok(ids.iter().filter_map(|id| EnvelopeId::try_from(id.as_slice()).ok()).collect())
    }

    /// Forgets requests handed in before `before`, with their outcomes; returns how many.
    pub(crate) async fn forget(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let forget = async {
            let mut transaction = self.begin().await?;
            let outcomes = "DELETE FROM outcomes WHERE envelope_id IN \
                            (SELECT envelope_id FROM requests WHERE submitted_ms < $1)";
            sqlx::query(outcomes).bind(before.0).execute(&mut *transaction).await?;
            let requests = sqlx::query("DELETE FROM requests WHERE submitted_ms < $1").bind(before.0);
            let gone = requests.execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok(gone)
        };
        self.bounded(forget).await
    }
}

/// The states from which a request is still delivered.
const OPEN: [Delivery; 3] = [Delivery::Waiting, Delivery::Sent, Delivery::Full];

fn number(delivery: Delivery) -> i64 {
    i64::from(i32::from(delivery))
}

fn delivery(number: i64) -> Delivery {
    i32::try_from(number).ok().and_then(|n| Delivery::try_from(n).ok()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
