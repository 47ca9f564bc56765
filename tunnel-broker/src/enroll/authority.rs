//! The mesh CAs whose keys are here: the configured one, and those that a rotation had made. Their keys never leave.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tracing::info;
use tunnel_certs::{
    credential::certificate_to_pem,
    crypto, file,
    issue::{Authority, AuthorityError, CaKind},
    key::{Algorithm, Signer, SigningKey},
};
use tunnel_protos::{Label, UnixMillis, VendorName};

use super::{AdminError, Enroll, EnrollError, choice};
use crate::config::CredentialFiles;

/// The mesh CAs whose keys are here.
#[derive(Debug)]
pub(crate) struct Authorities {
    folder: PathBuf,
    all: Mutex<Vec<Arc<Authority>>>,
    /// Held while one is made, so that two who ask get the same.
    making: Mutex<()>,
}

impl Authorities {
    /// Reads the configured CA and those in `folder`, which need not be there.
    pub(super) fn load(configured: Option<&CredentialFiles>, folder: PathBuf) -> Result<Self, EnrollError> {
        let mut all = Vec::new();
        if let Some(files) = configured {
            all.push(load(&files.certificate, &files.key)?);
        }
        for certificate in made(&folder).map_err(|error| EnrollError::Folder(folder.clone(), error))? {
            let authority = load(&certificate, &certificate.with_extension("key"))?;
            // A CA that was made here may be configured later on.
            if !all.iter().any(|known: &Arc<Authority>| known.certificate() == authority.certificate()) {
                all.push(authority);
            }
        }
        all.sort_by_key(|authority| authority.validity().0);
        Ok(Self { folder, all: Mutex::new(all), making: Mutex::default() })
    }

    /// The CA with this certificate, if its key is here.
    pub(super) fn with(&self, certificate: &CertificateDer<'_>) -> Option<Arc<Authority>> {
        self.all.lock().iter().find(|authority| authority.certificate() == certificate).cloned()
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Authority>> {
        self.all.lock().clone()
    }

    /// The CA that is to follow `newest`: one that was made before, or a new one. Blocks on files.
    fn prepare(
        &self,
        newest: UnixMillis,
        vendor: &VendorName,
        now: UnixMillis,
    ) -> Result<Arc<Authority>, AdminError> {
        let _one_at_a_time = self.making.lock();
        let follows = |authority: &&Arc<Authority>| {
            let (not_before, not_after) = authority.validity();
            not_before > newest && not_after > now
        };
        if let Some(prepared) = self.all.lock().iter().rev().find(follows) {
            return Ok(Arc::clone(prepared));
        }
        let made = Arc::new(self.make(vendor, now)?);
        self.all.lock().push(Arc::clone(&made));
        Ok(made)
    }

    /// The certificate is written last: a key without one is nothing yet.
    fn make(&self, vendor: &VendorName, now: UnixMillis) -> Result<Authority, AdminError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(AdminError::Folder)?;
        let key = SigningKey::generate(Algorithm::P256)
            .map_err(AuthorityError::Key)
            .map_err(AdminError::Authority)?;
        let path = self.folder.join(format!("{}.pem", Label::from_random(crypto::random())));
        key.save(&path.with_extension("key")).map_err(AuthorityError::Key).map_err(AdminError::Authority)?;
        let signer: Arc<dyn Signer> = Arc::new(key);
        let made =
            Authority::create(CaKind::Mesh, vendor.as_str(), signer, now).map_err(AdminError::Authority)?;
        let pem = certificate_to_pem(made.certificate());
        file::write(&path, pem.as_bytes()).map_err(|error| AdminError::Authority(error.into()))?;
        info!(certificate = %path.display(), until = %made.validity().1, "Made a mesh CA");
        Ok(made)
    }
}

impl Enroll {
    /// The certificate of the mesh CA that is to follow those in force; made now if there is none.
    pub(crate) async fn prepare_mesh_ca(
        self: &Arc<Self>,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, AdminError> {
        let enroll = Arc::clone(self);
        // Files are written on a thread for blocking work; it ends by itself.
        let prepared = tokio::task::spawn_blocking(move || {
            let bundle = &enroll.trusted().bundle;
            let newest = choice::in_order(&bundle.mesh_roots).last().map(|root| root.not_before);
            enroll.authorities.prepare(newest.unwrap_or_default(), &bundle.vendor, now)
        });
        let stopped = |_| AdminError::NotNow("the broker is stopping");
        prepared.await.map_err(stopped)?.map(|authority| authority.certificate().clone())
    }

    /// Certificates of the mesh CAs whose keys are here, oldest first.
    pub(crate) fn mesh_cas(&self) -> Vec<CertificateDer<'static>> {
        self.authorities.all().iter().map(|authority| authority.certificate().clone()).collect()
    }

    /// The certificate of the mesh CA that signs for replicas now, if its key is here.
    pub(crate) fn issuing(&self, now: UnixMillis) -> Option<CertificateDer<'static>> {
        self.issuer(choice::Whose::Replica, now).map(|authority| authority.certificate().clone())
    }

    /// The mesh CA that signs now, if its key is here.
    pub(super) fn issuer(&self, whose: choice::Whose, now: UnixMillis) -> Option<Arc<Authority>> {
        let roots = choice::valid(&self.trusted().bundle.mesh_roots, now);
        let phase = *self.phase.borrow();
        choice::signs(&roots, phase, whose).and_then(|root| self.authorities.with(&root.der))
    }
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<Authority>, EnrollError> {
    let authority = Authority::load(certificate, key).and_then(|authority| match authority.kind() {
        CaKind::Mesh => Ok(Arc::new(authority)),
        CaKind::Operator | CaKind::Access => Err(AuthorityError::Certificate),
    });
    authority.map_err(|error| EnrollError::Authority(certificate.to_owned(), error))
}

/// Certificates of the CAs that were made here.
fn made(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let files = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let paths: Vec<_> = files.take(MAX_FILES).map(|file| Ok(file?.path())).collect::<io::Result<_>>()?;
    Ok(paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "pem"))
        .collect())
}

/// A rotation a month for longer than any CA lives.
const MAX_FILES: usize = 256;

#[cfg(test)]
mod tests;
