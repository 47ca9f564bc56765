//! Receipts: what was done under a grant, in the customer's own words, signed by the cluster key.

use prost::Message;
use tunnel_protos::{
    ClusterName, Digest, GrantId, Label, MethodName, OperatorName, TargetName, UnixMillis, v1,
};

use super::envelope::{self, EnvelopeError, PayloadType};
use crate::key::{PublicKey, SignError, Signer};

/// What was done under a grant.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// The cluster.
    pub cluster: ClusterName,
    /// Its label.
    pub label: Label,
    /// The grant.
    pub grant: GrantId,
    /// Digest of the request's envelope.
    pub request: Digest,
    /// Who asked.
    pub operator: OperatorName,
    /// Why, as asked.
    pub reason: v1::Reason,
    /// Where it stood when this was made.
    pub state: v1::RequestState,
    /// Digests of the approvals' envelopes, where approvals were signed; at most 64.
    pub approvals: Vec<Digest>,
    /// Every call; at most [`MAX_CALLS`].
    pub calls: Vec<Call>,
    /// First and last record of the audit log that this covers.
    pub records: (u64, u64),
    /// When it was made.
    pub made: UnixMillis,
}

/// One call under a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// To which target.
    pub target: TargetName,
    /// What was called.
    pub method: MethodName,
    /// gRPC status code; 2 (UNKNOWN) where the client ended before it was known.
    pub status: u32,
    /// Message bytes from the operator.
    pub bytes_in: u64,
    /// Message bytes to the operator.
    pub bytes_out: u64,
}

/// Why a receipt was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope does not hold.
    #[error("the receipt's envelope")]
    Envelope(#[source] EnvelopeError),
    /// A field outside its grammar or bounds.
    #[error("the receipt's {0} is malformed")]
    Field(&'static str),
}

/// Signs a receipt with the cluster key.
pub fn make(receipt: &Receipt, cluster_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
    envelope::sign(PayloadType::Receipt, message(receipt).encode_to_vec(), &[(cluster_key, None)])
}

/// Opens a receipt's envelope, signed by `cluster_key`.
pub fn open(bytes: &[u8], cluster_key: &PublicKey) -> Result<Receipt, OpenError> {
    let keys = std::slice::from_ref(cluster_key);
    let (message, _) = envelope::open(bytes, PayloadType::Receipt, keys).map_err(OpenError::Envelope)?;
    read(message)
}

fn message(receipt: &Receipt) -> v1::Receipt {
    v1::Receipt {
        version: VERSION,
        cluster: receipt.cluster.to_string(),
        label: receipt.label.to_string(),
        grant: receipt.grant.to_string(),
        request_digest: receipt.request.as_bytes().to_vec(),
        operator: receipt.operator.to_string(),
        reason: Some(receipt.reason.clone()),
        state: receipt.state.into(),
        approval_digests: receipt.approvals.iter().map(|digest| digest.as_bytes().to_vec()).collect(),
        calls: receipt.calls.iter().map(Call::message).collect(),
        first_record: receipt.records.0,
        last_record: receipt.records.1,
        made_ms: receipt.made.0,
    }
}

fn read(message: v1::Receipt) -> Result<Receipt, OpenError> {
    if message.version != VERSION {
        return Err(OpenError::Field("version"));
    }
    if message.calls.len() > MAX_CALLS || message.approval_digests.len() > MAX_APPROVALS {
        return Err(OpenError::Field("length"));
    }
    let state = message.state();
    let digest = |bytes: &Vec<u8>| Digest::try_from(&bytes[..]).map_err(|_| OpenError::Field("digest"));
    Ok(Receipt {
        cluster: message.cluster.parse().map_err(|_| OpenError::Field("cluster"))?,
        label: message.label.parse().map_err(|_| OpenError::Field("label"))?,
        grant: message.grant.parse().map_err(|_| OpenError::Field("grant"))?,
        request: digest(&message.request_digest)?,
        operator: message.operator.parse().map_err(|_| OpenError::Field("operator"))?,
        reason: message.reason.ok_or(OpenError::Field("reason"))?,
        state,
        approvals: message.approval_digests.iter().map(digest).collect::<Result<_, _>>()?,
        calls: message.calls.iter().map(Call::read).collect::<Result<_, _>>()?,
        records: (message.first_record, message.last_record),
        made: UnixMillis(message.made_ms),
    })
}

impl Call {
    fn message(&self) -> v1::ReceiptCall {
        v1::ReceiptCall {
            started_ms: self.started.0,
            ended_ms: self.ended.0,
            target: self.target.to_string(),
            method: self.method.to_string(),
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }

    fn read(message: &v1::ReceiptCall) -> Result<Self, OpenError> {
        Ok(Self {
            started: UnixMillis(message.started_ms),
            ended: UnixMillis(message.ended_ms),
            target: message.target.parse().map_err(|_| OpenError::Field("target"))?,
            method: message.method.parse().map_err(|_| OpenError::Field("method"))?,
            status: message.status,
            bytes_in: message.bytes_in,
            bytes_out: message.bytes_out,
        })
    }
}

const VERSION: u32 = 1;
/// As many as an envelope holds with the longest names that are common.
pub const MAX_CALLS: usize = 10_000;
/// As many as any quorum will ever be.
const MAX_APPROVALS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Algorithm, SigningKey};

    fn receipt() -> Receipt {
        Receipt {
            cluster: "acme/prod".parse().unwrap(),
            label: "k3v7aaaaaa".parse().unwrap(),
            grant: "3fa85f64-5717-4562-b3fc-2c963f66afa6".parse().unwrap(),
            request: Digest::new([1; 32]),
            operator: "ann".parse().unwrap(),
            reason: v1::Reason { text: "disk".into(), ..Default::default() },
            state: v1::RequestState::Ended,
            approvals: vec![Digest::new([2; 32])],
            calls: vec![Call {
                started: UnixMillis(1),
                ended: UnixMillis(2),
                target: "default".parse().unwrap(),
                method: "e.Engine/Set".parse().unwrap(),
                status: 0,
                bytes_in: 3,
                bytes_out: 4,
            }],
            records: (5, 9),
            made: UnixMillis(10),
        }
    }

    #[test]
    fn what_was_made_opens_with_the_cluster_key_only() {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let bytes = make(&receipt(), &key).unwrap().encode_to_vec();
        assert_eq!(open(&bytes, key.public()).unwrap(), receipt());
        let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
        assert!(matches!(open(&bytes, other.public()), Err(OpenError::Envelope(_))));
    }

    fn refusal(change: impl FnOnce(&mut v1::Receipt)) -> OpenError {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let mut changed = message(&receipt());
        change(&mut changed);
        let envelope = envelope::sign(PayloadType::Receipt, changed.encode_to_vec(), &[(&key, None)]);
        open(&envelope.unwrap().encode_to_vec(), key.public()).unwrap_err()
    }

    #[test]
    fn another_version_is_refused_and_more_than_fits() {
        assert!(matches!(refusal(|m| m.version = 2), OpenError::Field("version")));
        let call = receipt().calls[0].message();
        assert!(matches!(refusal(|m| m.calls = vec![call; MAX_CALLS + 1]), OpenError::Field("length")));
        let digests = vec![vec![2; 32]; MAX_APPROVALS + 1];
        assert!(matches!(refusal(|m| m.approval_digests = digests), OpenError::Field("length")));
    }

    #[test]
    fn no_byte_of_it_can_be_changed() {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let bytes = make(&receipt(), &key).unwrap().encode_to_vec();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // The key id is a hint that nobody relies on.
            assert!(open(&changed, key.public()).map_or(true, |opened| opened == receipt()), "byte {at}");
        }
    }

    #[test]
    fn the_longest_fits_its_envelope() {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let call = receipt().calls.remove(0);
        let long = Receipt { calls: vec![call; MAX_CALLS], ..receipt() };
        let bytes = make(&long, &key).unwrap().encode_to_vec();
        assert!(open(&bytes, key.public()).is_ok(), "{} bytes", bytes.len());
    }
}
