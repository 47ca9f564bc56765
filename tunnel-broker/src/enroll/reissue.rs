//! Gives a replica whose certificate ran out another one, if it proves the key of the old one.
//! Invariant: a challenge is good for one answer on its own connection.

use rustls::pki_types::CertificateDer;
use tracing::{debug, info};
use tunnel_certs::{
    crypto, csr,
    identity::{Identity, Role},
    key::PublicKey,
    reissue,
    verify::REISSUE_GRACE,
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
    pub(super) fn challenge(
        &self,
        ask: &v1::ChallengeRequest,
        now: UnixMillis,
    ) -> Result<Challenged, Refusal> {
        let der = CertificateDer::from(ask.certificate.as_slice());
        let chain = std::slice::from_ref(&der);
        let verified = self.mesh().verify_expired(chain, Role::Replica, now, REISSUE_GRACE);
        let verified = verified.map_err(|error| {
            debug!(%error, "Certificate refused");
            Refusal::Unproven
        })?;
        match verified.identity {
            Identity::Replica { label, id, .. } => {
                Ok(Challenged { nonce: crypto::random(), label, replica: id, key: verified.key })
            }
            _ => Err(Refusal::Unproven),
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

#[cfg(test)]
mod tests;
