//! Gives a replica whose certificate ran out another one, if it proves the key of the old one.
//! Invariant: a challenge is good for one answer on its own connection, and the key that answers it was certified as that
//! replica's: by a CA that counts, or, where a rotation left the replica behind, by this broker's own books.

use rustls::pki_types::CertificateDer;
use tracing::{debug, info};
use tunnel_certs::{
    crypto, csr,
    identity::{Identity, Role},
    key::PublicKey,
    reissue,
    verify::{FormerPeer, REISSUE_GRACE, VerifyError},
};
use tunnel_protos::{Label, ReplicaId, UnixMillis, v1};

use super::{Enroll, refusal::Refusal};

/// A challenge that was not answered yet.
pub(super) struct Challenged {
    nonce: [u8; 32],
    label: Label,
    replica: ReplicaId,
    key: PublicKey,
}

impl Challenged {
    /// What must be signed.
    pub(super) fn message(&self) -> v1::Challenge {
        v1::Challenge { nonce: self.nonce.to_vec() }
    }
}

impl Enroll {
    /// Challenges whoever shows a certificate of a replica that ended at most 30 days ago.
    pub(super) async fn challenge(
        &self,
        ask: &v1::ChallengeRequest,
        now: UnixMillis,
    ) -> Result<Challenged, Refusal> {
        let der = CertificateDer::from(ask.certificate.as_slice());
        let chain = std::slice::from_ref(&der);
        let refused = |error: VerifyError| {
            debug!(%error, "Certificate refused");
            Refusal::Unproven
        };
        match self.mesh().verify_expired(chain, Role::Replica, now, REISSUE_GRACE) {
            Ok(former) => challenged(former),
            Err(VerifyError::UnknownIssuer) => {
                let claimed = challenged(self.mesh().claimed(chain, Role::Replica).map_err(refused)?)?;
                self.left_behind(claimed, now).await
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// A replica that was away while the mesh CA was replaced: what its certificate says counts for nothing, since whoever
    /// stole the old CA could have made it; that this key was certified is in our own books.
    async fn left_behind(&self, claimed: Challenged, now: UnixMillis) -> Result<Challenged, Refusal> {
        let known = self.store.certified(claimed.label, &claimed.replica, claimed.key.spki()).await;
        match known.map_err(|error| Refusal::of_store(&error))? {
            Some(end) if now <= end.plus(REISSUE_GRACE) => Ok(claimed),
            Some(_) | None => Err(Refusal::Unproven),
        }
    }

    /// Certifies the same identity anew, if the challenge was met.
    pub(super) async fn reissue(
        &self,
        ask: &v1::Reissue,
        challenged: Option<Challenged>,
        now: UnixMillis,
    ) -> Result<v1::Issued, Refusal> {
        let Challenged { nonce, label, replica, key: old } = challenged.ok_or(Refusal::Unproven)?;
        let key = csr::public_key(&ask.csr).map_err(|_| Refusal::Malformed)?;
        reissue::verify(&old, &nonce, &ask.csr, &ask.signature).map_err(|_| Refusal::Unproven)?;
        self.refuse_banned(label, &replica)?;
        let issuer = self.replica_issuer(now)?;
        let noted = self.store.certify_replica(label, &replica, key.spki(), self.ends(&issuer, now)).await;
        noted.map_err(|error| Refusal::of_store(&error))?;
        let issued = self.issue(&issuer, &key, label, &replica, now)?;
        info!(%label, %replica, "Certificate reissued");
        Ok(issued)
    }
}

fn challenged(former: FormerPeer) -> Result<Challenged, Refusal> {
    match former.identity {
        Identity::Replica { label, id, .. } => {
            Ok(Challenged { nonce: crypto::random(), label, replica: id, key: former.key })
        }
        _ => Err(Refusal::Unproven),
    }
}

#[cfg(test)]
mod tests;
