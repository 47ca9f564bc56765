//! Lets further replicas of an enrolled cluster join by their Kubernetes service account.
//! Invariant: the key set that proves one is that of the registration whose keys the vendor signed.

use tracing::{debug, info};
use tunnel_certs::{csr, service_account, statement::registration};
use tunnel_protos::{Label, UnixMillis, v1};
use tunnel_runtime::chain;

use super::{Enroll, refusal::Refusal, replicas::new_id};

impl Enroll {
    /// Certifies a replica that its service account proves.
    pub(super) async fn join(
        &self,
        ask: &v1::JoinByServiceAccount,
        now: UnixMillis,
    ) -> Result<v1::Issued, Refusal> {
        let label: Label = ask.label.parse().map_err(|_| Refusal::Malformed)?;
        let key = csr::public_key(&ask.csr).map_err(|_| Refusal::Malformed)?;
        if ask.token.len() > MAX_TOKEN {
            return Err(Refusal::Malformed);
        }
        self.prove(label, &ask.token, now).await?;
        if self.bans.cluster_banned(label) {
            return Err(Refusal::Banned);
        }
        let issuer = self.replica_issuer(now)?;
        let times = (now, self.ends(&issuer, now));
        let admitted = self.store.admit_replica(label, &new_id(), key.spki(), times, MOST_REPLICAS).await;
        let replica = admitted.map_err(|error| Refusal::of_store(&error))?.ok_or(Refusal::Busy)?;
        self.refuse_banned(label, &replica)?;
        let issued = self.issue(&issuer, &key, label, &replica, now)?;
        info!(%label, %replica, "Replica joined by its service account");
        Ok(issued)
    }

    /// No cluster, no key set, another service account: one answer for all.
    async fn prove(&self, label: Label, token: &str, now: UnixMillis) -> Result<(), Refusal> {
        let entry = self.entry_in_force(label, now).ok_or(Refusal::Unproven)?;
        let found = self.store.registration_with(label, &entry.cluster_key).await;
        let found = found.map_err(|error| Refusal::of_store(&error))?.ok_or(Refusal::Unproven)?;
        let registration = registration::open(&found.envelope).map_err(|_| Refusal::Unproven)?.registration;
        let expected = registration.service_account(&self.vendor()).ok_or(Refusal::Unproven)?;
        match service_account::verify(&registration.jwks, token, &expected, now) {
            Ok(_) => Ok(()),
            Err(error) => {
                debug!(%label, error = %chain(&error), "Service account refused");
                Err(Refusal::Unproven)
            }
        }
    }
}

/// Kubernetes writes about 1 KiB.
const MAX_TOKEN: usize = 16 * 1024;
/// Of one cluster with a certificate that still holds: a pod that crashes and joins anew every two minutes for a day.
const MOST_REPLICAS: u32 = 1_000;

#[cfg(test)]
mod tests;
