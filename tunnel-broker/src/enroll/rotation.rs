//! The rotation of the mesh CA as the broker takes part in it: its phase, and what replicas acknowledged.

use std::sync::Arc;

use prost::Message;
use tokio::sync::{SemaphorePermit, watch};
use tracing::info;
use tunnel_certs::statement::ack;
use tunnel_protos::{
    Label, OperatorName, ReplicaId, UnixMillis, operators,
    v1::{Envelope, RotationPhase},
};

use super::{AdminError, Enroll, GRACE, PhaseError, registrations, replicas::Page};
use crate::store::{StoreError, rotation::Progress};

/// Why an acknowledgement was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcknowledgementError {
    /// It is not proven.
    #[error(transparent)]
    Open(ack::OpenError),
    /// It speaks for another replica than the tunnel's.
    #[error("it names another replica than the tunnel's")]
    OtherReplica,
    /// The database failed.
    #[error("the database")]
    Store(#[source] StoreError),
}

impl Enroll {
    /// The phase of the rotation.
    pub(crate) fn phase(&self) -> RotationPhase {
        *self.phase.borrow()
    }

    /// Follows the phase.
    pub(crate) fn phases(&self) -> watch::Receiver<RotationPhase> {
        self.phase.subscribe()
    }

    /// Keeps all others from entering a phase until what comes back is dropped.
    pub(crate) async fn phase_turn(&self) -> SemaphorePermit<'_> {
        self.phase_turn.acquire().await.expect("it is never closed")
    }

    /// Enters a phase; whether it is time for it is the caller's to say, who holds the turn since it looked. In standby, mesh CAs that nobody trusts are forgotten,
    /// again if that failed before.
    pub(crate) async fn set_phase(
        self: &Arc<Self>,
        to: RotationPhase,
        by: &OperatorName,
        now: UnixMillis,
    ) -> Result<(), AdminError> {
        if to == RotationPhase::Unspecified {
            return Err(AdminError::Phase(PhaseError::Unspecified));
        }
        if self.issuing(now).is_none() {
            return Err(AdminError::Phase(PhaseError::NoKey));
        }
        self.store.put_phase(to, now).await.map_err(AdminError::Store)?;
        self.phase.send_replace(to);
        info!(phase = to.as_str_name(), %by, "Rotation of the mesh CA");
        match to {
            RotationPhase::Standby => self.forget_mesh_cas().await,
            _ => Ok(()),
        }
    }

    /// Keeps what a replica acknowledged over its tunnel: the tunnel says which replica it is, and a first replica's
    /// cluster key that the cluster agrees. An entry that ran out still says which key that is.
    pub(crate) async fn store_acknowledgement(
        &self,
        label: Label,
        replica: &ReplicaId,
        acknowledgement: &Envelope,
        now: UnixMillis,
    ) -> Result<(), AcknowledgementError> {
        let cluster_key = self.entry_of(label).and_then(|entry| registrations::cluster_key(&entry));
        let mesh = self.mesh();
        let provers = ack::Provers { cluster_key: cluster_key.as_ref(), mesh: &mesh };
        let opened = ack::open(&acknowledgement.encode_to_vec(), provers, now);
        let (said, by) = opened.map_err(AcknowledgementError::Open)?;
        if (said.label, &said.replica) != (label, replica) {
            return Err(AcknowledgementError::OtherReplica);
        }
        let kept = self.store.put_acknowledgement(label, replica, acknowledgement, now).await;
        kept.map_err(AcknowledgementError::Store)?;
        info!(%label, %replica, phase = said.phase.as_str_name(), ?by, "Rotation acknowledged");
        Ok(())
    }

    /// How far replicas are that are not banned and whose certificates could still be renewed, and the token of the next
    /// page; who is connected is the caller's to say.
    pub(crate) async fn acknowledgements(
        &self,
        ask: &operators::GetRotationRequest,
        now: UnixMillis,
    ) -> Result<(Vec<operators::ReplicaRotation>, String), AdminError> {
        self.write_sightings().await.map_err(AdminError::Store)?;
        let mut token = ask.page_token.clone();
        loop {
            let page = Page::of(ask.page_size, &token);
            let found = self.store.progress(now.minus(GRACE), page.after, page.size).await;
            let found = found.map_err(AdminError::Store)?;
            let next = page.next(&found, |progress| (progress.replica.0, &progress.replica.1));
            let counts = |progress: &Progress| !self.banned(progress.replica.0, &progress.replica.1);
            let counted: Vec<_> = found.into_iter().filter(counts).map(message).collect();
            // An empty page would look like the last one.
            if next.is_empty() || !counted.is_empty() {
                return Ok((counted, next));
            }
            token = next;
        }
    }
}

fn message(progress: Progress) -> operators::ReplicaRotation {
    operators::ReplicaRotation {
        label: progress.replica.0.to_string(),
        replica: progress.replica.1.to_string(),
        connected: false,
        last_seen_ms: progress.last_seen.0,
        acknowledgement: progress.acknowledgement,
    }
}

#[cfg(test)]
mod tests;
