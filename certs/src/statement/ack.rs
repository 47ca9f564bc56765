//! Rotation acknowledgements: a replica says, by its cluster's key, that it finished a phase with a trust bundle.

use prost::Message;
use tunnel_protos::{
    Label, ReplicaId,
    v1::{self, RotationPhase},
};

use super::envelope::{self, EnvelopeError, PayloadType};
use crate::key::{PublicKey, SignError, Signer};

/// One replica finished one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Its cluster.
    pub label: Label,
    /// Which replica.
    pub replica: ReplicaId,
    /// The phase; never unspecified.
    pub phase: RotationPhase,
    /// Sequence of the trust bundle in force there.
    pub sequence: u64,
}

/// Why an acknowledgement was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope does not hold.
    #[error("the acknowledgement's envelope")]
    Envelope(#[source] EnvelopeError),
    /// A field outside its grammar or bounds.
    #[error("the acknowledgement's {0} is malformed")]
    Field(&'static str),
}

impl Acknowledgement {
    /// Signs with the cluster key.
    pub fn make(&self, cluster_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
        let message = v1::RotationAcknowledgement {
            version: VERSION,
            label: self.label.to_string(),
            replica: self.replica.to_string(),
            phase: self.phase.into(),
            sequence: self.sequence,
        };
        envelope::sign(PayloadType::Ack, message.encode_to_vec(), &[(cluster_key, None)])
    }
}

/// Opens an acknowledgement's envelope, signed by the cluster key; whose it is must be compared by the caller.
pub fn open(bytes: &[u8], cluster_key: &PublicKey) -> Result<Acknowledgement, OpenError> {
    let keys = std::slice::from_ref(cluster_key);
    let (message, _) = envelope::open(bytes, PayloadType::Ack, keys).map_err(OpenError::Envelope)?;
    read(&message)
}

fn read(message: &v1::RotationAcknowledgement) -> Result<Acknowledgement, OpenError> {
    if message.version != VERSION {
        return Err(OpenError::Field("version"));
    }
    let phase = match RotationPhase::try_from(message.phase) {
        Ok(RotationPhase::Unspecified) | Err(_) => return Err(OpenError::Field("phase")),
        Ok(phase) => phase,
    };
    Ok(Acknowledgement {
        label: message.label.parse().map_err(|_| OpenError::Field("label"))?,
        replica: message.replica.parse().map_err(|_| OpenError::Field("replica"))?,
        phase,
        sequence: message.sequence,
    })
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ed25519, label};

    fn acknowledgement() -> Acknowledgement {
        let replica = "r1".parse().unwrap();
        Acknowledgement { label: label(), replica, phase: RotationPhase::Init, sequence: 7 }
    }

    fn refusal(change: impl FnOnce(&mut v1::RotationAcknowledgement)) -> OpenError {
        let key = ed25519();
        let payload = acknowledgement().make(&key).unwrap().payload;
        let mut message = v1::RotationAcknowledgement::decode(&payload[..]).unwrap();
        change(&mut message);
        let changed = envelope::sign(PayloadType::Ack, message.encode_to_vec(), &[(&key, None)]).unwrap();
        open(&changed.encode_to_vec(), key.public()).unwrap_err()
    }

    #[test]
    fn opens_with_the_cluster_key_only() {
        let key = ed25519();
        let bytes = acknowledgement().make(&key).unwrap().encode_to_vec();
        assert_eq!(open(&bytes, key.public()).unwrap(), acknowledgement());
        assert!(matches!(open(&bytes, ed25519().public()), Err(OpenError::Envelope(_))));
    }

    #[test]
    fn refuses_fields_outside_their_grammar() {
        assert!(matches!(refusal(|m| m.version = 2), OpenError::Field("version")));
        assert!(matches!(refusal(|m| m.label = "K".into()), OpenError::Field("label")));
        assert!(matches!(refusal(|m| m.replica = "../r1".into()), OpenError::Field("replica")));
        assert!(matches!(refusal(|m| m.phase = 0), OpenError::Field("phase")));
        assert!(matches!(refusal(|m| m.phase = 99), OpenError::Field("phase")));
    }
}
