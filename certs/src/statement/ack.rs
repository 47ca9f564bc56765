//! Rotation acknowledgements: a replica says that it finished a phase with a trust bundle. The first replica of a cluster
//! says so by the cluster key; further ones, which have none, by their mesh key.

use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_protos::{
    Label, ReplicaId, UnixMillis,
    v1::{self, RotationPhase},
};

use super::envelope::{self, EnvelopeError, PayloadType};
use crate::{
    identity::{Identity, Role},
    key::{PublicKey, SignError, Signer},
    verify::{MeshVerifier, REISSUE_GRACE, VerifyError},
};

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

/// What proves an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The cluster key, which the inventory entry names.
    Cluster,
    /// A mesh key, which a mesh CA certified for this very replica. Whoever holds that CA could do so, too.
    Mesh,
}

/// What acknowledgements of one cluster are checked against.
#[derive(Debug, Clone, Copy)]
pub struct Provers<'a> {
    /// The cluster key; none where no inventory entry names it.
    pub cluster_key: Option<&'a PublicKey>,
    /// The mesh roots.
    pub mesh: &'a MeshVerifier,
}

/// Why an acknowledgement was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nobody can say whose key signed.
    #[error("no inventory entry of this cluster says who signs for it")]
    NoEntry,
    /// The mesh certificate that goes along does not hold.
    #[error("the acknowledgement's mesh certificate")]
    Certificate(#[source] VerifyError),
    /// The mesh certificate is another replica's.
    #[error("the acknowledgement names another replica than its mesh certificate")]
    OtherReplica,
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
        self.sign((cluster_key, None))
    }

    /// Signs with the mesh key of a further replica; its certificate goes along.
    pub fn make_by_mesh(
        &self,
        mesh_key: &dyn Signer,
        certificate: &CertificateDer<'_>,
    ) -> Result<v1::Envelope, SignError> {
        self.sign((mesh_key, Some(certificate)))
    }

    fn sign(&self, signer: (&dyn Signer, Option<&CertificateDer<'_>>)) -> Result<v1::Envelope, SignError> {
        let message = v1::RotationAcknowledgement {
            version: VERSION,
            label: self.label.to_string(),
            replica: self.replica.to_string(),
            phase: self.phase.into(),
            sequence: self.sequence,
        };
        envelope::sign(PayloadType::Ack, message.encode_to_vec(), &[signer])
    }
}

/// Opens an acknowledgement and says what proves it; whose it is must be compared by the caller.
///
/// By a mesh key it is proven of the replica in the certificate that goes along, and of no other. The certificate may have
/// ended since, as long as it could be renewed: whoever acknowledged and went away has still acknowledged.
pub fn open(bytes: &[u8], provers: Provers<'_>, now: UnixMillis) -> Result<(Acknowledgement, By), OpenError> {
    let envelope = envelope::decode(bytes, PayloadType::Ack).map_err(OpenError::Envelope)?;
    let certificate = envelope.signatures.iter().find_map(|signature| signature.certificate.as_deref());
    let Some(certificate) = certificate else {
        let key = provers.cluster_key.ok_or(OpenError::NoEntry)?;
        return Ok((verified(&envelope, key)?, By::Cluster));
    };
    let chain = [CertificateDer::from(certificate)];
    let peer = provers.mesh.verify_expired(&chain, Role::Replica, now, REISSUE_GRACE);
    let peer = peer.map_err(OpenError::Certificate)?;
    let said = verified(&envelope, &peer.key)?;
    match peer.identity {
        Identity::Replica { label, id, .. } if (label, &id) == (said.label, &said.replica) => {
            Ok((said, By::Mesh))
        }
        _ => Err(OpenError::OtherReplica),
    }
}

fn verified(envelope: &v1::Envelope, key: &PublicKey) -> Result<Acknowledgement, OpenError> {
    envelope::verify(envelope, std::slice::from_ref(key), 1).map_err(OpenError::Envelope)?;
    let message = envelope::payload(envelope, PayloadType::Ack).map_err(EnvelopeError::Payload);
    read(&message.map_err(OpenError::Envelope)?)
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
    use crate::{
        issue::CaKind,
        key::SigningKey,
        testing::{Ca, DAY, NOW, ed25519, label, p256, vendor},
    };

    fn acknowledgement() -> Acknowledgement {
        let replica = "r1".parse().unwrap();
        Acknowledgement { label: label(), replica, phase: RotationPhase::Init, sequence: 7 }
    }

    fn mesh(ca: &Ca) -> MeshVerifier {
        MeshVerifier::new(vendor(), ca.roots())
    }

    fn opened(
        envelope: &v1::Envelope,
        cluster_key: Option<&PublicKey>,
        mesh: &MeshVerifier,
        now: UnixMillis,
    ) -> Result<(Acknowledgement, By), OpenError> {
        open(&envelope.encode_to_vec(), Provers { cluster_key, mesh }, now)
    }

    fn refusal(change: impl FnOnce(&mut v1::RotationAcknowledgement)) -> OpenError {
        let key = ed25519();
        let payload = acknowledgement().make(&key).unwrap().payload;
        let mut message = v1::RotationAcknowledgement::decode(&payload[..]).unwrap();
        change(&mut message);
        let changed = envelope::sign(PayloadType::Ack, message.encode_to_vec(), &[(&key, None)]).unwrap();
        opened(&changed, Some(key.public()), &mesh(&Ca::new(CaKind::Mesh)), NOW).unwrap_err()
    }

    /// A replica's mesh key with its certificate.
    fn further(ca: &Ca, id: &str) -> (SigningKey, CertificateDer<'static>) {
        let key = p256();
        let issued =
            ca.authority.issue_replica(key.public(), &vendor(), &label(), &id.parse().unwrap(), DAY, NOW);
        (key, issued.unwrap())
    }

    #[test]
    fn opens_with_the_cluster_key_only() {
        let (key, mesh) = (ed25519(), mesh(&Ca::new(CaKind::Mesh)));
        let made = acknowledgement().make(&key).unwrap();
        let said = opened(&made, Some(key.public()), &mesh, NOW).unwrap();
        assert_eq!(said, (acknowledgement(), By::Cluster));
        let other = opened(&made, Some(ed25519().public()), &mesh, NOW);
        assert!(matches!(other, Err(OpenError::Envelope(_))));
        assert!(matches!(opened(&made, None, &mesh, NOW), Err(OpenError::NoEntry)));
    }

    #[test]
    fn a_further_replica_is_proven_by_its_mesh_key_even_after_the_end_of_its_certificate() {
        let (ca, cluster) = (Ca::new(CaKind::Mesh), ed25519());
        let (key, certificate) = further(&ca, "r1");
        let made = acknowledgement().make_by_mesh(&key, &certificate).unwrap();
        for (cluster_key, now) in [(None, NOW), (Some(cluster.public()), NOW.plus(DAY * 20))] {
            let said = opened(&made, cluster_key, &mesh(&ca), now).unwrap();
            assert_eq!(said, (acknowledgement(), By::Mesh));
        }
        let late = opened(&made, None, &mesh(&ca), NOW.plus(DAY * 32));
        assert!(matches!(late, Err(OpenError::Certificate(_))), "{late:?}");
    }

    #[test]
    fn a_mesh_key_speaks_for_its_own_replica_under_its_own_certificate() {
        let ca = Ca::new(CaKind::Mesh);
        let ((key, certificate), (other_key, other)) = (further(&ca, "r1"), further(&ca, "r2"));
        let by = |key, certificate| {
            let made = acknowledgement().make_by_mesh(key, certificate).unwrap();
            opened(&made, None, &mesh(&ca), NOW)
        };
        assert!(by(&key, &certificate).is_ok());
        assert!(matches!(by(&other_key, &other), Err(OpenError::OtherReplica)));
        assert!(matches!(by(&other_key, &certificate), Err(OpenError::Envelope(_))));
        let (foreign_key, foreign) = further(&Ca::new(CaKind::Mesh), "r1");
        assert!(matches!(by(&foreign_key, &foreign), Err(OpenError::Certificate(_))));
        let broker_key = p256();
        let id = "b1".parse().unwrap();
        let broker = ca.authority.issue_broker(broker_key.public(), &vendor(), &id, DAY, NOW).unwrap();
        assert!(matches!(by(&broker_key, &broker), Err(OpenError::Certificate(_))));
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
