//! What the broker shows and whom it believes, read from files and checked against each other at start.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use prost::Message;
use tunnel_certs::{
    credential::{Credential, CredentialError, ServerCredential},
    file::{self, FileError},
    identity::{Identity, Role},
    key::{PublicKey, PublicKeyError},
    statement::trust_bundle::{OpenError, TrustBundle},
    tls::{self, TlsError},
    verify::{MeshVerifier, OperatorVerifier, VerifyError},
};
use tunnel_protos::{BrokerId, UnixMillis, v1::Envelope};
use tunnel_transport::quic::ALPN;

use crate::{
    config::{Config, CredentialFiles},
    enroll::{OwnLeaf, Trusted},
    metrics,
};

/// Why trust cannot be established.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("a file")]
    File(#[source] FileError),
    /// Not a vendor key.
    #[error("{0} is not a vendor key")]
    VendorKey(PathBuf, #[source] PublicKeyError),
    /// The trust bundle is refused.
    #[error("{0} is not a trust bundle that counts")]
    Bundle(PathBuf, #[source] OpenError),
    /// A certificate or its key cannot be used.
    #[error("{0} cannot be used")]
    Credential(PathBuf, #[source] CredentialError),
    /// The broker's own certificate would be refused by replicas.
    #[error("{0} does not hold under the trust bundle")]
    Mesh(PathBuf, #[source] VerifyError),
    /// Neither files of the broker's own certificate nor a mesh CA to issue it.
    #[error("`mesh` or `enroll.meshCa` must be configured")]
    NoMesh,
    /// The certificate is another role's.
    #[error("{0} is not a broker's certificate")]
    NotBroker(PathBuf),
    /// TLS cannot be configured.
    #[error("TLS")]
    Tls(#[source] TlsError),
}

/// What the broker shows and whom it believes.
pub(super) struct Trust {
    pub(super) bundle: TrustBundle,
    pub(super) broker_id: BrokerId,
    pub(super) mesh_not_after: UnixMillis,
    pub(super) mesh_tls: Arc<rustls::ServerConfig>,
    pub(super) mesh_verifier: MeshVerifier,
    pub(super) api_tls: Arc<rustls::ServerConfig>,
    pub(super) operator_verifier: OperatorVerifier,
}

impl Trust {
    /// Reads everything that `config` names; where the broker issues its own certificate, that counts instead of files.
    pub(super) fn load(
        config: &Config,
        bundle: TrustBundle,
        own: Option<&OwnLeaf>,
        now: UnixMillis,
    ) -> Result<Self, TrustError> {
        let mesh_verifier = MeshVerifier::new(bundle.vendor.clone(), bundle.mesh_roots.clone());
        let operator_verifier = OperatorVerifier::new(bundle.vendor.clone(), bundle.operator_roots.clone());
        let (credential, broker_id) = match (own, &config.mesh) {
            (Some(own), _) if config.enroll.mesh_ca.is_some() => {
                (own.credential.clone(), config.enroll.broker_id.clone())
            }
            (_, Some(files)) => load_mesh(files, &mesh_verifier, now)?,
            (_, None) => return Err(TrustError::NoMesh),
        };
        let mesh_tls = tls::mesh_server(&credential, mesh_verifier.clone(), Role::Replica, &[ALPN]);
        let api = ServerCredential::load(&config.api.certificate, &config.api.key)
            .map_err(|error| TrustError::Credential(config.api.certificate.clone(), error))?;
        let api_tls = tls::operator_api_server(&api, operator_verifier.clone(), &[b"h2"]);
        let mesh_not_after = credential.validity().1;
        metrics::expiration("mesh_certificate", mesh_not_after);
        metrics::expiration("trust_bundle", bundle.expires);
        Ok(Self {
            bundle,
            broker_id,
            mesh_not_after,
            mesh_tls: mesh_tls.map_err(TrustError::Tls)?,
            mesh_verifier,
            api_tls: api_tls.map_err(TrustError::Tls)?,
            operator_verifier,
        })
    }
}

/// Reads the trust bundle.
pub(super) fn load_bundle(config: &Config, now: UnixMillis) -> Result<Trusted, TrustError> {
    let keys: Result<Vec<_>, _> = config.trust.vendor_keys.iter().map(|path| load_vendor_key(path)).collect();
    let bytes = file::read(&config.trust.bundle).map_err(TrustError::File)?;
    let bundle = TrustBundle::open(&bytes, &keys?, now)
        .map_err(|error| TrustError::Bundle(config.trust.bundle.clone(), error))?;
    // What was opened is an envelope.
    let envelope = Envelope::decode(&bytes[..]).unwrap_or_default();
    Ok(Trusted { bundle, envelope })
}

fn load_vendor_key(path: &Path) -> Result<PublicKey, TrustError> {
    let bytes = file::read(path).map_err(TrustError::File)?;
    PublicKey::from_pem(&String::from_utf8_lossy(&bytes))
        .map_err(|error| TrustError::VendorKey(path.to_owned(), error))
}

/// The broker's own certificate must pass what replicas will check.
fn load_mesh(
    files: &CredentialFiles,
    verifier: &MeshVerifier,
    now: UnixMillis,
) -> Result<(Credential, BrokerId), TrustError> {
    let path = &files.certificate;
    let credential =
        Credential::load(path, &files.key).map_err(|error| TrustError::Credential(path.clone(), error))?;
    let verified = verifier.verify(std::slice::from_ref(credential.certificate()), Role::Broker, now);
    let verified = verified.map_err(|error| TrustError::Mesh(path.clone(), error))?;
    match verified.identity {
        Identity::Broker { id, .. } => Ok((credential, id)),
        _ => Err(TrustError::NotBroker(path.clone())),
    }
}
