//! Credentials and configurations that are replaced while in use: a candidate is checked first, and on failure the
//! old one stays.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::watch;
use tunnel_protos::UnixMillis;

use crate::{
    credential::{Credential, CredentialError},
    identity::Role,
    verify::{MeshVerifier, VerifiedPeer},
};

/// A value that may be replaced while it is in use.
#[derive(Debug)]
pub struct Published<T> {
    sender: watch::Sender<Arc<T>>,
}

impl<T> Published<T> {
    /// Publishes the first value.
    pub fn new(first: T) -> Self {
        Self { sender: watch::Sender::new(Arc::new(first)) }
    }

    /// The value of now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.sender.borrow())
    }

    /// Follows the value.
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.sender.subscribe()
    }

    /// Publishes a candidate that passed its checks; one that failed leaves the old value, and its error comes back
    /// for one warning and a metric.
    pub fn replace<E>(&self, candidate: Result<T, E>) -> Result<(), E> {
        self.sender.send_replace(Arc::new(candidate?));
        Ok(())
    }
}

/// The files of a mesh identity.
#[derive(Debug, Clone)]
pub struct MeshFiles {
    /// One certificate (PEM).
    pub certificate: PathBuf,
    /// Its private key (0600).
    pub key: PathBuf,
}

impl MeshFiles {
    /// Reads the files and looks at them as our peers will: a credential that they would refuse is not published.
    pub fn load(
        &self,
        verifier: &MeshVerifier,
        role: Role,
        now: UnixMillis,
    ) -> Result<(Credential, VerifiedPeer), CredentialError> {
        let credential = Credential::load(&self.certificate, &self.key)?;
        let chain = std::slice::from_ref(credential.certificate());
        let peer = verifier.verify(chain, role, now).map_err(CredentialError::Certificate)?;
        Ok((credential, peer))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::CertificateParams;

    use super::*;
    use crate::{
        credential::certificate_to_pem,
        issue::CaKind,
        testing::{Ca, HOUR, MINUTE, NOW, date, identities, shape},
    };

    fn files(folder: &tempfile::TempDir) -> MeshFiles {
        MeshFiles { certificate: folder.path().join("r1.pem"), key: folder.path().join("r1.key") }
    }

    fn write(ca: &Ca, parameters: &CertificateParams, files: &MeshFiles) {
        let credential = ca.credential(parameters);
        std::fs::write(&files.certificate, certificate_to_pem(credential.certificate())).unwrap();
        let _ = std::fs::remove_file(&files.key);
        credential.key().save(&files.key).unwrap();
    }

    #[test]
    fn a_credential_that_peers_would_refuse_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, files) = (Ca::new(CaKind::Mesh), files(&folder));
        let [_, replica, ..] = identities();
        write(&ca, &shape(&replica), &files);
        let published = Published::new(files.load(&ca.mesh(), Role::Replica, NOW).unwrap().0);
        let first = published.get();
        let mut expired = shape(&replica);
        expired.not_before = date(NOW.minus(HOUR));
        expired.not_after = date(NOW.minus(MINUTE));
        write(&ca, &expired, &files);
        let candidate = files.load(&ca.mesh(), Role::Replica, NOW).map(|(credential, _)| credential);
        assert!(published.replace(candidate).is_err());
        assert_eq!(published.get().certificate(), first.certificate());
    }

    #[test]
    fn a_good_one_reaches_those_who_follow() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, files) = (Ca::new(CaKind::Mesh), files(&folder));
        let [_, replica, ..] = identities();
        let published = Published::new(ca.credential(&shape(&replica)));
        let mut follower = published.subscribe();
        write(&ca, &shape(&replica), &files);
        let candidate = files.load(&ca.mesh(), Role::Replica, NOW).map(|(credential, _)| credential);
        published.replace(candidate).unwrap();
        assert!(follower.has_changed().unwrap());
        assert_eq!(follower.borrow_and_update().certificate(), published.get().certificate());
    }

    #[test]
    fn files_of_another_role_or_of_two_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, files) = (Ca::new(CaKind::Mesh), files(&folder));
        let [broker, replica, ..] = identities();
        write(&ca, &shape(&broker), &files);
        assert!(matches!(files.load(&ca.mesh(), Role::Replica, NOW), Err(CredentialError::Certificate(_))));
        let other = ca.credential(&shape(&replica));
        std::fs::write(&files.certificate, certificate_to_pem(other.certificate())).unwrap();
        assert!(matches!(files.load(&ca.mesh(), Role::Replica, NOW), Err(CredentialError::Mismatch)));
    }
}
