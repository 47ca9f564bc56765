//! The rotation of the mesh CA as the broker takes part in it: its phase, and what replicas acknowledged.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::info;
use tunnel_certs::statement::envelope::{self, EnvelopeError, PayloadType};
use tunnel_protos::{
    Label, OperatorName, ReplicaId, UnixMillis, operators,
    v1::{Envelope, RotationAcknowledgement, RotationPhase},
};

use super::{AdminError, Enroll, GRACE, PhaseError};
use crate::store::{StoreError, rotation::Progress};

/// Why an acknowledgement was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcknowledgementError {
    /// It cannot be read.
    #[error("the envelope")]
    Envelope(#[source] EnvelopeError),
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

    /// Enters a phase; whether it is time for it is the caller's to say. In standby, mesh CAs that nobody trusts are forgotten,
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

    /// Keeps what a replica acknowledged over its tunnel. Its signature is the administrator's to check.
    pub(crate) async fn store_acknowledgement(
        &self,
        label: Label,
        replica: &ReplicaId,
        acknowledgement: &Envelope,
        now: UnixMillis,
    ) -> Result<(), AcknowledgementError> {
        let said = read(acknowledgement).map_err(AcknowledgementError::Envelope)?;
        if (said.label.as_str(), said.replica.as_str()) != (label.as_str(), replica.as_str()) {
            return Err(AcknowledgementError::OtherReplica);
        }
        let kept = self.store.put_acknowledgement(label, replica, acknowledgement, now).await;
        kept.map_err(AcknowledgementError::Store)
    }

    /// How far every replica is that is not banned and whose certificate could still be renewed; who is connected is the
    /// caller's to say.
    pub(crate) async fn acknowledgements(
        &self,
        now: UnixMillis,
    ) -> Result<Vec<operators::ReplicaRotation>, AdminError> {
        self.write_sightings().await.map_err(AdminError::Store)?;
        let progress = self.store.progress(now.minus(GRACE)).await.map_err(AdminError::Store)?;
        let counts = |progress: &Progress| !self.banned(progress.replica.0, &progress.replica.1);
        Ok(progress.into_iter().filter(counts).map(message).collect())
    }
}

fn read(acknowledgement: &Envelope) -> Result<RotationAcknowledgement, EnvelopeError> {
    envelope::check(acknowledgement, PayloadType::Ack)?;
    if acknowledgement.payload.len() > MAX_PAYLOAD {
        return Err(EnvelopeError::TooLarge(MAX_PAYLOAD));
    }
    envelope::payload(acknowledgement, PayloadType::Ack).map_err(EnvelopeError::Payload)
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

/// An honest one has about 60 bytes, and there is one of each replica in one reply.
const MAX_PAYLOAD: usize = 256;

#[cfg(test)]
mod tests;
