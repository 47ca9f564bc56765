//! Enrollment tokens. Invariant: the first public key that redeems a token has it; no later one ever does.

use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};
use tunnel_protos::{ClusterName, Label, ReplicaId, TokenId, UnixMillis, v1::TokenKind};

use super::{Store, StoreError};

/// A token as it was made known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewToken {
    /// Its name.
    pub(crate) id: TokenId,
    /// What it is good for.
    pub(crate) kind: TokenKind,
    /// For people.
    pub(crate) cluster: ClusterName,
    /// The only cluster that it opens.
    pub(crate) label: Label,
    /// Of the secret for the broker.
    pub(crate) secret_sha256: [u8; 32],
    /// Its end.
    pub(crate) expires: UnixMillis,
    /// Who made it.
    pub(crate) created_by: String,
    /// When.
    pub(crate) created: UnixMillis,
}

/// A token with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// As it was made known.
    pub(crate) new: NewToken,
    /// Whether it was taken back.
    pub(crate) revoked: bool,
    /// What it was redeemed for.
    pub(crate) redeemed: Option<Redeemed>,
    /// Whether an inventory entry with the registered keys was published.
    pub(crate) confirmed: bool,
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redeemed {
    /// When.
    pub(crate) at: UnixMillis,
    /// SubjectPublicKeyInfo of the mesh key that has it.
    pub(crate) key: Vec<u8>,
    /// The identity given for it.
    pub(crate) replica: ReplicaId,
    /// Raw cluster and sealing key that were registered with it; none for kind `replica`.
    pub(crate) keys: Option<[Vec<u8>; 2]>,
}

/// What a redemption writes.
#[derive(Debug, Clone)]
pub(crate) struct Redemption<'r> {
    /// SubjectPublicKeyInfo of the mesh key.
    pub(crate) key: &'r [u8],
    /// The identity to give, unless the key has one already.
    pub(crate) replica: ReplicaId,
    /// What the cluster registers; none for kind `replica`.
    pub(crate) registration: Option<Registered>,
    /// Now.
    pub(crate) at: UnixMillis,
    /// Where the certificate to be issued ends.
    pub(crate) not_after: UnixMillis,
}

/// A registration as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    /// Raw Ed25519.
    pub(crate) cluster_key: Vec<u8>,
    /// Raw X25519.
    pub(crate) sealing_key: Vec<u8>,
    /// The encoded envelope.
    pub(crate) envelope: Vec<u8>,
    /// 32 bytes; empty for one that came over a tunnel.
    pub(crate) mac: Vec<u8>,
}

/// What became of a new token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is known now, or was already with the same content.
    Known(Box<Token>),
    /// Its id, or its label, stands for something else already.
    Conflict,
    /// There are as many as may be.
    Full,
}

/// A token has at most one registration, since its keys are bound to it.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT tokens.id, kind, cluster, tokens.label, secret_sha256, expires_ms, created_by, created_ms, ",
            "revoked_ms, redeemed_ms, redeemed_key, replica, confirmed_ms, cluster_key, sealing_key ",
            "FROM tokens LEFT JOIN registrations ON registrations.label = tokens.label ",
            "AND registrations.token = tokens.id ",
            $rest
        )
    };
}

impl Store {
    /// Makes a token known, unless there are `most` already.
    pub(crate) async fn create_token(&self, new: &NewToken, most: u32) -> Result<Created, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO tokens (id, kind, cluster, label, secret_sha256, expires_ms, created_by, created_ms) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
             WHERE (SELECT COUNT(*) FROM tokens) < $9 \
             AND NOT EXISTS (SELECT 1 FROM tokens WHERE label = $4 AND cluster <> $3) \
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(new.id.as_str())
        .bind(i64::from(i32::from(new.kind)))
        .bind(new.cluster.as_str())
        .bind(new.label.as_str())
        .bind(new.secret_sha256.as_slice())
        .bind(new.expires.0)
        .bind(&new.created_by)
        .bind(new.created.0)
        .bind(i64::from(most));
        let inserted = self.bounded(insert.execute(&self.pool)).await?.rows_affected() == 1;
        Ok(match self.token(&new.id).await? {
            Some(token) if inserted || token.new.is(new) => Created::Known(Box::new(token)),
            Some(_) => Created::Conflict,
            None if self.label_is_taken(new).await? => Created::Conflict,
            None => Created::Full,
        })
    }

    async fn label_is_taken(&self, new: &NewToken) -> Result<bool, StoreError> {
        let select = sqlx::query("SELECT 1 FROM tokens WHERE label = $1 AND cluster <> $2 LIMIT 1")
            .bind(new.label.as_str())
            .bind(new.cluster.as_str());
        Ok(self.bounded(select.fetch_optional(&self.pool)).await?.is_some())
    }

    /// A token by its name.
    pub(crate) async fn token(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        let select = sqlx::query(select!("WHERE tokens.id = $1")).bind(id.as_str());
        let row = self.bounded(select.fetch_optional(&self.pool)).await?;
        Ok(row.as_ref().and_then(read))
    }

    /// All tokens, newest first.
    pub(crate) async fn tokens(&self, limit: u32) -> Result<Vec<Token>, StoreError> {
        let newest = select!("ORDER BY tokens.created_ms DESC, tokens.id LIMIT $1");
        let select = sqlx::query(newest).bind(i64::from(limit));
        let rows = self.bounded(select.fetch_all(&self.pool)).await?;
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Takes a token back; returns whether there is one.
    pub(crate) async fn revoke_token(&self, id: &TokenId, now: UnixMillis) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE tokens SET revoked_ms = COALESCE(revoked_ms, $1) WHERE id = $2")
            .bind(now.0)
            .bind(id.as_str());
        Ok(self.bounded(update.execute(&self.pool)).await?.rows_affected() == 1)
    }

    /// Notes that the vendor signed the keys registered with a token.
    pub(crate) async fn confirm_token(&self, id: &TokenId, now: UnixMillis) -> Result<(), StoreError> {
        let update =
            sqlx::query("UPDATE tokens SET confirmed_ms = $1 WHERE id = $2 AND confirmed_ms IS NULL")
                .bind(now.0)
                .bind(id.as_str());
        self.bounded(update.execute(&self.pool)).await.map(|_| ())
    }

    /// Redeemed tokens of kind `cluster` that wait for the vendor: token, label, raw cluster and sealing key.
    pub(crate) async fn unconfirmed(&self) -> Result<Vec<(TokenId, Label, [Vec<u8>; 2])>, StoreError> {
        let select = sqlx::query(
            "SELECT tokens.id, tokens.label, cluster_key, sealing_key FROM tokens JOIN registrations \
             ON registrations.label = tokens.label AND registrations.token = tokens.id \
             WHERE confirmed_ms IS NULL AND revoked_ms IS NULL",
        );
        let rows = self.bounded(select.fetch_all(&self.pool)).await?;
        let read = |row: &SqliteRow| {
            let (id, label) = (row.get::<&str, _>(0).parse().ok()?, row.get::<&str, _>(1).parse().ok()?);
            Some((id, label, [row.get(2), row.get(3)]))
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Gives the token to the key of `redemption` if `decide` says yes to it as it is now; returns the identity.
    pub(crate) async fn redeem<E>(
        &self,
        id: &TokenId,
        redemption: &Redemption<'_>,
        decide: impl Fn(Option<&Token>) -> Result<(), E>,
    ) -> Result<Result<(Token, ReplicaId), E>, StoreError> {
        // Looked at first without the write lock, so that strangers' attempts cost no writer anything.
        if let Err(refusal) = decide(self.token(id).await?.as_ref()) {
            return Ok(Err(refusal));
        }
        let redeem = async {
            let mut transaction = self.begin().await?;
            let select = sqlx::query(select!("WHERE tokens.id = $1")).bind(id.as_str());
            let token = select.fetch_optional(&mut *transaction).await?.as_ref().and_then(read);
            if let Err(refusal) = decide(token.as_ref()) {
                return Ok(Err(refusal));
            }
            // A token that is not there was refused; nothing is written for one.
            let Some(token) = token else { return Err(sqlx::Error::RowNotFound) };
            let replica = bind(&mut transaction, &token, redemption).await?;
            transaction.commit().await?;
            Ok(Ok((token, replica)))
        };
        self.bounded(redeem).await
    }

    /// Forgets tokens that ended before `before`, and what was registered with those that were never confirmed.
    pub(crate) async fn forget_tokens(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let forget = async {
            let mut transaction = self.begin().await?;
            let unconfirmed = "DELETE FROM registrations WHERE token IN \
                               (SELECT id FROM tokens WHERE expires_ms < $1 AND confirmed_ms IS NULL)";
            sqlx::query(unconfirmed).bind(before.0).execute(&mut *transaction).await?;
            let tokens = sqlx::query("DELETE FROM tokens WHERE expires_ms < $1").bind(before.0);
            let gone = tokens.execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok(gone)
        };
        self.bounded(forget).await
    }
}

impl NewToken {
    /// Whether `other` says the same, whoever made it and when.
    fn is(&self, other: &Self) -> bool {
        let content = |token: &Self| {
            (token.kind, token.cluster.clone(), token.label, token.secret_sha256, token.expires)
        };
        content(self) == content(other)
    }
}

async fn bind(
    transaction: &mut Transaction<'static, Sqlite>,
    token: &Token,
    redemption: &Redemption<'_>,
) -> Result<ReplicaId, sqlx::Error> {
    let label = token.new.label;
    let known = match &token.redeemed {
        Some(redeemed) => Some(redeemed.replica.clone()),
        None => super::replicas::with_key(transaction, label, redemption.key).await?,
    };
    let ids = (known, &redemption.replica);
    let replica =
        super::replicas::identify(transaction, label, ids, redemption.key, redemption.not_after).await?;
    let update = sqlx::query(
        "UPDATE tokens SET redeemed_ms = $1, redeemed_key = $2, replica = $3 \
         WHERE id = $4 AND redeemed_key IS NULL",
    )
    .bind(redemption.at.0)
    .bind(redemption.key)
    .bind(replica.as_str())
    .bind(token.new.id.as_str());
    update.execute(&mut **transaction).await?;
    if let Some(registration) = redemption.registration.as_ref().filter(|_| !token.confirmed) {
        super::registrations::put(transaction, label, token.new.id.as_str(), registration, redemption.at)
            .await?;
    }
    Ok(replica)
}

/// None for a row that cannot be read, which then opens nothing.
fn read(row: &SqliteRow) -> Option<Token> {
    let new = NewToken {
        id: row.get::<&str, _>(0).parse().ok()?,
        kind: TokenKind::try_from(i32::try_from(row.get::<i64, _>(1)).ok()?).ok()?,
        cluster: row.get::<&str, _>(2).parse().ok()?,
        label: row.get::<&str, _>(3).parse().ok()?,
        secret_sha256: row.get::<&[u8], _>(4).try_into().ok()?,
        expires: UnixMillis(row.get(5)),
        created_by: row.get(6),
        created: UnixMillis(row.get(7)),
    };
    let at: Option<i64> = row.get(9);
    let redeemed = match at {
        None => None,
        Some(at) => Some(Redeemed {
            at: UnixMillis(at),
            key: row.get(10),
            replica: row.get::<&str, _>(11).parse().ok()?,
            keys: row
                .get::<Option<Vec<u8>>, _>(13)
                .zip(row.get(14))
                .map(|(cluster, sealing)| [cluster, sealing]),
        }),
    };
    let revoked = row.get::<Option<i64>, _>(8).is_some();
    Some(Token { new, revoked, redeemed, confirmed: row.get::<Option<i64>, _>(12).is_some() })
}
