//! Redeems tokens. Decides without clock and database; the store asks once without and once under its write lock.

use prost::Message;
use tracing::info;
use tunnel_certs::{crypto, csr, key::PublicKey, statement::registration};
use tunnel_protos::{Label, ReplicaId, TokenId, UnixMillis, v1, v1::TokenKind};

use super::{Enroll, bans::Bans, refusal::Refusal, registrations::registered, replicas::new_id};
use crate::store::tokens::{Redemption, Registered, Token};

/// What a replica presents, well-formed and with its signatures checked.
pub(super) struct Presented {
    token: TokenId,
    secret_sha256: [u8; 32],
    key: PublicKey,
    /// For kind `cluster`: label and token that it names, and how it is kept.
    registration: Option<(Label, TokenId, Registered)>,
}

impl Enroll {
    /// Redeems a token for a certificate.
    pub(super) async fn redeem(&self, ask: &v1::Redeem, now: UnixMillis) -> Result<v1::Issued, Refusal> {
        let presented = Presented::read(ask)?;
        let issuer = self.replica_issuer(now)?;
        let redemption = Redemption {
            key: presented.key.spki(),
            replica: new_id(),
            registration: presented.registration.as_ref().map(|(_, _, registered)| registered.clone()),
            at: now,
            not_after: self.ends(&issuer, now),
        };
        let decide = |token: Option<&Token>| presented.judge(token, &self.bans, now);
        let redeemed = self.store.redeem(&presented.token, &redemption, decide).await;
        let (token, replica) = redeemed.map_err(|error| Refusal::of_store(&error))??;
        let label = token.new.label;
        // A key may have its identity from before.
        self.refuse_banned(label, &replica)?;
        let issued = self.issue(&issuer, &presented.key, label, &replica, now)?;
        info!(token = %presented.token, %label, %replica, again = token.redeemed.is_some(), "Token redeemed");
        Ok(issued)
    }
}

impl Presented {
    /// Refuses whatever cannot be proven by itself.
    pub(super) fn read(ask: &v1::Redeem) -> Result<Self, Refusal> {
        let secret = <&[u8; 32]>::try_from(ask.broker_secret.as_slice()).map_err(|_| Refusal::Malformed)?;
        let key = csr::public_key(&ask.csr).map_err(|_| Refusal::Malformed)?;
        let registration = match &ask.registration {
            Some(envelope) => Some(read_registration(envelope, &ask.mac, &key)?),
            None if ask.mac.is_empty() => None,
            None => return Err(Refusal::Malformed),
        };
        Ok(Self {
            token: ask.token_id.parse().map_err(|_| Refusal::Malformed)?,
            secret_sha256: crypto::sha256(secret),
            key,
            registration,
        })
    }

    /// Whether the token is for whoever presents this. Without the secret, every token looks the same.
    fn judge(&self, token: Option<&Token>, bans: &Bans, now: UnixMillis) -> Result<(), Refusal> {
        let expected = token.map_or([0; 32], |token| token.new.secret_sha256);
        let proven = same(&expected, &self.secret_sha256);
        let Some(token) = token.filter(|token| proven && !token.revoked) else {
            return Err(Refusal::Unknown);
        };
        if now >= token.new.expires {
            return Err(Refusal::Expired);
        }
        let replica = token.redeemed.as_ref().map(|redeemed| &redeemed.replica);
        if is_banned(bans, token.new.label, replica) {
            return Err(Refusal::Banned);
        }
        if token.redeemed.as_ref().is_some_and(|redeemed| redeemed.key != self.key.spki()) {
            return Err(Refusal::Used);
        }
        self.judge_registration(token)
    }

    /// Kind `cluster` brings its keys, always the same ones, and kind `replica` brings none.
    fn judge_registration(&self, token: &Token) -> Result<(), Refusal> {
        let keys = token.redeemed.as_ref().and_then(|redeemed| redeemed.keys.as_ref());
        match (token.new.kind, &self.registration) {
            (TokenKind::Replica, None) => Ok(()),
            (TokenKind::Cluster, Some((label, named, registered))) => {
                if (*label, named) != (token.new.label, &token.new.id) {
                    return Err(Refusal::Malformed);
                }
                let brought = [&registered.cluster_key, &registered.sealing_key];
                match keys {
                    Some([cluster, sealing]) if brought != [cluster, sealing] => Err(Refusal::Used),
                    _ => Ok(()),
                }
            }
            (TokenKind::Cluster | TokenKind::Replica | TokenKind::Unspecified, _) => Err(Refusal::Malformed),
        }
    }
}

fn is_banned(bans: &Bans, label: Label, replica: Option<&ReplicaId>) -> bool {
    replica.map_or_else(|| bans.cluster_banned(label), |replica| bans.banned(label, replica))
}

/// The broker cannot check the MAC, only that there is one.
fn read_registration(
    envelope: &v1::Envelope,
    mac: &[u8],
    key: &PublicKey,
) -> Result<(Label, TokenId, Registered), Refusal> {
    let bytes = envelope.encode_to_vec();
    let opened = registration::open(&bytes).map_err(|_| Refusal::Malformed)?;
    let token = opened.registration.token.ok_or(Refusal::Malformed)?;
    if mac.len() != MAC || opened.mesh_key != *key {
        return Err(Refusal::Malformed);
    }
    let registered = registered(&opened, bytes, mac.to_vec());
    Ok((opened.registration.label, token, registered))
}

/// Compares under a key that nobody knows, so that the time it takes says nothing about the bytes.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let blind: [u8; 32] = crypto::random();
    crypto::is_hmac_sha256(&blind, one, &crypto::hmac_sha256(&blind, other))
}

/// HMAC-SHA-256.
const MAC: usize = 32;

#[cfg(test)]
mod tests;
