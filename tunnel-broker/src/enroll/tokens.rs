//! Enrollment tokens as administrators see them. The broker knows the SHA-256 of a secret only.

use std::time::Duration;

use tracing::info;
use tunnel_protos::{
    OperatorName, TokenId, UnixMillis,
    operators::{self, TokenState},
    v1::TokenKind,
};

use super::{AdminError, Enroll};
use crate::store::tokens::{Created, NewToken, Token};

impl Enroll {
    /// Makes a token known; idempotent by its id and content.
    pub(crate) async fn create_token(
        &self,
        ask: operators::CreateTokenRequest,
        by: &OperatorName,
        now: UnixMillis,
    ) -> Result<operators::Token, AdminError> {
        let new = read(ask, by, now)?;
        self.check_label(&new)?;
        match self.store.create_token(&new, MOST).await.map_err(AdminError::Store)? {
            Created::Known(token) => {
                info!(token = %new.id, label = %new.label, cluster = %new.cluster, %by, "Enrollment token known");
                Ok(message(&token, now))
            }
            Created::Conflict => {
                Err(AdminError::Conflict("the token's id, or its label, stands for something else already"))
            }
            Created::Full => {
                Err(AdminError::Full("10,000 tokens are known; they are forgotten 30 days after their end"))
            }
        }
    }

    /// Tokens that are not yet forgotten, newest first.
    pub(crate) async fn list_tokens(&self, now: UnixMillis) -> Result<Vec<operators::Token>, AdminError> {
        self.note_confirmed(now).await.map_err(AdminError::Store)?;
        let tokens = self.store.tokens(MOST).await.map_err(AdminError::Store)?;
        Ok(tokens.iter().map(|token| message(token, now)).collect())
    }

    /// The token is good for nothing more; what it issued stays.
    pub(crate) async fn revoke_token(
        &self,
        id: &str,
        by: &OperatorName,
        now: UnixMillis,
    ) -> Result<operators::Token, AdminError> {
        let id = token_id(id)?;
        self.store.revoke_token(&id, now).await.map_err(AdminError::Store)?;
        let token = self.store.token(&id).await.map_err(AdminError::Store)?.ok_or(NO_TOKEN)?;
        info!(token = %id, label = %token.new.label, %by, "Enrollment token revoked");
        Ok(message(&token, now))
    }

    /// A label that the vendor gave to one cluster is not another's.
    fn check_label(&self, new: &NewToken) -> Result<(), AdminError> {
        match self.entry_of(new.label) {
            Some(entry) if entry.cluster != new.cluster.as_str() => {
                Err(AdminError::Conflict("an inventory entry gives this label to another cluster"))
            }
            _ => Ok(()),
        }
    }
}

fn read(
    ask: operators::CreateTokenRequest,
    by: &OperatorName,
    now: UnixMillis,
) -> Result<NewToken, AdminError> {
    let token = ask.token.ok_or(AdminError::Malformed("the token is missing"))?;
    let secret = <[u8; 32]>::try_from(ask.broker_secret_sha256.as_slice());
    let new = NewToken {
        id: token_id(&token.id)?,
        kind: kind(token.kind)?,
        cluster: token
            .cluster
            .parse()
            .map_err(|_| AdminError::Malformed("not a cluster name, like acme/prod"))?,
        label: token
            .label
            .parse()
            .map_err(|_| AdminError::Malformed("not a label (10 characters of a-z2-7)"))?,
        secret_sha256: secret.map_err(|_| AdminError::Malformed("a SHA-256 has 32 bytes"))?,
        expires: UnixMillis(token.expires_ms),
        created_by: by.to_string(),
        created: now,
    };
    if new.expires <= now {
        return Err(AdminError::Malformed("the token has expired already; are the clocks right?"));
    }
    if new.expires > now.plus(MAX_LIFE).plus(CLOCKS) {
        return Err(AdminError::Malformed("a token lives at most 30 days"));
    }
    Ok(new)
}

pub(super) fn token_id(text: &str) -> Result<TokenId, AdminError> {
    text.parse().map_err(|_| AdminError::Malformed("not a token id (26 characters of a-z2-7)"))
}

fn kind(number: i32) -> Result<TokenKind, AdminError> {
    match TokenKind::try_from(number) {
        Ok(kind @ (TokenKind::Cluster | TokenKind::Replica)) => Ok(kind),
        Ok(TokenKind::Unspecified) | Err(_) => Err(AdminError::Malformed("not a kind of token")),
    }
}

/// A token as it travels: without its secret's digest, which nobody but the database needs.
pub(super) fn message(token: &Token, now: UnixMillis) -> operators::Token {
    operators::Token {
        id: token.new.id.to_string(),
        kind: token.new.kind.into(),
        cluster: token.new.cluster.to_string(),
        label: token.new.label.to_string(),
        expires_ms: token.new.expires.0,
        created_by: token.new.created_by.clone(),
        created_ms: token.new.created.0,
        state: state(token, now).into(),
        redeemed_ms: token.redeemed.as_ref().map_or(0, |redeemed| redeemed.at.0),
    }
}

fn state(token: &Token, now: UnixMillis) -> TokenState {
    match &token.redeemed {
        _ if token.revoked => TokenState::Revoked,
        Some(_) if token.confirmed => TokenState::Confirmed,
        Some(_) => TokenState::Redeemed,
        None if now >= token.new.expires => TokenState::Expired,
        None => TokenState::Open,
    }
}

pub(super) const NO_TOKEN: AdminError = AdminError::Unknown("no such token at this broker");

/// As many as one reply lists; years of a large vendor's new customers fit into 30 days' worth.
const MOST: u32 = 10_000;
const MAX_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The administrator's clock may be ahead.
const CLOCKS: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
