//! The broker's own mesh certificate: issued by itself, or read from files that are followed.
//! Invariant: what is published held under the trust bundle in force when it was published.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::info;
use tunnel_certs::{
    credential::{Credential, CredentialError},
    identity::{Identity, Role},
    reload::MeshFiles,
    statement::trust_bundle::TrustBundle,
};
use tunnel_protos::{BrokerId, UnixMillis};

use super::{
    TrustError,
    fingerprint::{Fingerprint, Followed, Look},
    mesh_verifier,
};
use crate::{config::CredentialFiles, enroll::OwnLeaf, metrics};

/// Who the broker is to replicas.
#[derive(Debug)]
pub(crate) struct Own {
    /// Certificate and key.
    pub(crate) credential: Credential,
    /// The name in it.
    pub(crate) broker_id: BrokerId,
    /// Its last moment, at most that of its CA: tunnels end by then.
    pub(crate) not_after: UnixMillis,
}

/// The broker's own certificate while it is replaced.
#[derive(Debug)]
pub(super) struct OwnCertificate {
    source: Source,
    published: watch::Sender<Arc<Own>>,
}

#[derive(Debug)]
enum Source {
    Files(CredentialFiles, Mutex<Followed>),
    /// What the broker issued to itself.
    Issued(watch::Receiver<Option<Arc<OwnLeaf>>>),
}

impl OwnCertificate {
    /// Where the broker issues its own certificate, that counts instead of files.
    pub(super) fn load(
        files: Option<CredentialFiles>,
        issued: Option<watch::Receiver<Option<Arc<OwnLeaf>>>>,
        bundle: &TrustBundle,
        now: UnixMillis,
    ) -> Result<Self, TrustError> {
        let (source, first) = match (issued, files) {
            (Some(issued), _) => {
                let leaf = issued.borrow().clone().ok_or(TrustError::NoMesh)?;
                let own = check(leaf.credential.clone(), bundle, now);
                (
                    Source::Issued(issued),
                    own.map_err(|error| TrustError::Mesh("its own certificate".into(), error))?,
                )
            }
            (None, Some(files)) => {
                let followed = Mutex::new(Followed::new("mesh_certificate", fingerprint(&files)));
                let own = read(&files, bundle, now)?;
                (Source::Files(files, followed), own)
            }
            (None, None) => return Err(TrustError::NoMesh),
        };
        first.note();
        Ok(Self { source, published: watch::Sender::new(Arc::new(first)) })
    }

    pub(super) fn current(&self) -> Arc<Own> {
        Arc::clone(&self.published.borrow())
    }

    pub(super) fn follow(&self) -> watch::Receiver<Arc<Own>> {
        self.published.subscribe()
    }

    /// Whether the broker signs it itself.
    pub(super) fn is_issued(&self) -> bool {
        matches!(self.source, Source::Issued(_))
    }

    /// Publishes what is new. Blocks on files.
    pub(super) fn look(&self, bundle: &TrustBundle, now: UnixMillis) -> Look {
        match &self.source {
            Source::Files(files, followed) => {
                let (mut followed, found) = (followed.lock(), fingerprint(files));
                if followed.is_in_use(&found) {
                    return Look::Same;
                }
                let taken = read(files, bundle, now).map(|own| {
                    self.publish(own);
                });
                followed.note(found, taken)
            }
            Source::Issued(issued) => {
                let leaf = issued.borrow().clone();
                // If it does not hold, one is issued under the new bundle in a moment.
                let own = leaf.and_then(|leaf| check(leaf.credential.clone(), bundle, now).ok());
                own.map_or(Look::Same, |own| self.publish(own))
            }
        }
    }

    fn publish(&self, own: Own) -> Look {
        if self.current().credential.certificate() == own.credential.certificate() {
            return Look::Same;
        }
        info!(until = %own.not_after, "The broker's mesh certificate was replaced");
        metrics::reload("mesh_certificate", true);
        own.note();
        self.published.send_replace(Arc::new(own));
        Look::Taken
    }
}

impl Own {
    fn note(&self) {
        metrics::expiration("mesh_certificate", self.not_after);
    }
}

fn fingerprint(files: &CredentialFiles) -> Fingerprint {
    Fingerprint::of(&[&files.certificate, &files.key])
}

/// The broker's own certificate must pass what replicas will check.
pub(crate) fn read(
    files: &CredentialFiles,
    bundle: &TrustBundle,
    now: UnixMillis,
) -> Result<Own, TrustError> {
    let path = &files.certificate;
    let pair = MeshFiles { certificate: path.clone(), key: files.key.clone() };
    let loaded = pair.load(&mesh_verifier(bundle), Role::Broker, now);
    let (credential, peer) = loaded.map_err(|error| match error {
        CredentialError::Certificate(_) => TrustError::Mesh(path.clone(), error),
        other => TrustError::Credential(path.clone(), other),
    })?;
    match peer.identity {
        Identity::Broker { id, .. } => Ok(Own { credential, broker_id: id, not_after: peer.not_after }),
        _ => Err(TrustError::NotBroker(path.clone())),
    }
}

fn check(credential: Credential, bundle: &TrustBundle, now: UnixMillis) -> Result<Own, CredentialError> {
    let chain = std::slice::from_ref(credential.certificate());
    let peer =
        mesh_verifier(bundle).verify(chain, Role::Broker, now).map_err(CredentialError::Certificate)?;
    let Identity::Broker { id: broker_id, .. } = peer.identity else {
        return Err(CredentialError::Certificate(tunnel_certs::verify::VerifyError::WrongRole));
    };
    Ok(Own { credential, broker_id, not_after: peer.not_after })
}
