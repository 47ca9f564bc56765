//! The mesh CAs whose keys are here: the configured one, and those that rotations had made, whose keys never leave and
//! are destroyed once nobody trusts them any more.

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
use crate::config::{CredentialFiles, EnrollConfig};

/// The mesh CAs whose keys are here.
#[derive(Debug)]
pub(crate) struct Authorities {
    folder: PathBuf,
    configured: Option<Arc<Authority>>,
    /// Oldest first.
    made: Mutex<Vec<Made>>,
    /// Held while files are written or removed, so that two who ask for the next CA get the same.
    files: Mutex<()>,
}

/// A CA that was made here.
#[derive(Debug, Clone)]
struct Made {
    authority: Arc<Authority>,
    /// The certificate's file; the key's is beside it.
    path: PathBuf,
}

impl Authorities {
    /// Reads the configured CA and those in `folder`, which need not be there.
    pub(super) fn load(configured: Option<&CredentialFiles>, folder: PathBuf) -> Result<Self, EnrollError> {
        let configured = configured.map(|files| load(&files.certificate, &files.key)).transpose()?;
        let mut made = Vec::new();
        for path in certificates(&folder).map_err(|error| EnrollError::Folder(folder.clone(), error))? {
            made.push(Made { authority: load(&path, &path.with_extension("key"))?, path });
        }
        made.sort_by_key(|made| made.authority.validity().0);
        Ok(Self { folder, configured, made: Mutex::new(made), files: Mutex::default() })
    }

    /// The CA with this certificate, if its key is here.
    pub(super) fn with(&self, certificate: &CertificateDer<'_>) -> Option<Arc<Authority>> {
        self.all().into_iter().find(|authority| authority.certificate() == certificate)
    }

    /// Whether there is none at all.
    pub(super) fn is_empty(&self) -> bool {
        self.configured.is_none() && self.made.lock().is_empty()
    }

    /// All of them, oldest first.
    fn all(&self) -> Vec<Arc<Authority>> {
        let made: Vec<_> = self.made.lock().iter().map(|made| Arc::clone(&made.authority)).collect();
        // One that was made here may be configured later on.
        let other = |configured: &&Arc<Authority>| {
            !made.iter().any(|made| made.certificate() == configured.certificate())
        };
        let mut all: Vec<_> = self.configured.iter().filter(other).cloned().collect();
        all.extend(made);
        all.sort_by_key(|authority| authority.validity().0);
        all
    }

    /// The CA that is to follow those that began at `newest` or before: one that was made, or a new one. Blocks on files.
    fn prepare(
        &self,
        newest: UnixMillis,
        vendor: &VendorName,
        now: UnixMillis,
    ) -> Result<Arc<Authority>, AdminError> {
        let _one_at_a_time = self.files.lock();
        let follows = |authority: &Authority| {
            let (not_before, not_after) = authority.validity();
            not_before > newest && not_after > now
        };
        if let Some(prepared) = self.made.lock().iter().rev().find(|made| follows(&made.authority)) {
            return Ok(Arc::clone(&prepared.authority));
        }
        let made = self.make(vendor, newest, now)?;
        let authority = Arc::clone(&made.authority);
        self.made.lock().push(made);
        Ok(authority)
    }

    /// The certificate is written last: a key without one is nothing yet.
    fn make(&self, vendor: &VendorName, newest: UnixMillis, now: UnixMillis) -> Result<Made, AdminError> {
        let failed = |error| AdminError::Authority(AuthorityError::Key(error));
        let key = SigningKey::generate(Algorithm::P256).map_err(failed)?;
        let pem = key.to_pem();
        let authority =
            Authority::create(CaKind::Mesh, vendor.as_str(), Arc::new(key) as Arc<dyn Signer>, now);
        let authority = Arc::new(authority.map_err(AdminError::Authority)?);
        // Which of two CAs is the newer one is read from their certificates.
        if authority.validity().0 <= newest {
            return Err(AdminError::NotNow(
                "the mesh CA in force is newer than this broker's clock; try again later",
            ));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(AdminError::Folder)?;
        let path = self.folder.join(format!("{}.pem", Label::from_random(crypto::random())));
        let written = file::create_private(&path.with_extension("key"), pem.as_bytes())
            .and_then(|()| file::write(&path, certificate_to_pem(authority.certificate()).as_bytes()));
        written.map_err(|error| AdminError::Authority(error.into()))?;
        info!(certificate = %path.display(), until = %authority.validity().1, "Made a mesh CA");
        Ok(Made { authority, path })
    }

    /// Destroys what was made here and is not to be kept, and keys that never got a certificate. Blocks on files.
    fn keep_only(&self, keep: &[CertificateDer<'static>]) -> io::Result<()> {
        let _one_at_a_time = self.files.lock();
        let is_kept = |made: &Made| keep.contains(made.authority.certificate());
        let gone: Vec<_> = self.made.lock().iter().filter(|made| !is_kept(made)).cloned().collect();
        for made in gone {
            // The certificate goes first: a key without one is nothing.
            std::fs::remove_file(&made.path)?;
            info!(certificate = %made.path.display(), "Destroyed a mesh CA that nobody trusts any more");
            self.made.lock().retain(|other| other.path != made.path);
        }
        let paths: Vec<_> = self.made.lock().iter().map(|made| made.path.with_extension("key")).collect();
        let orphans = files(&self.folder, "key")?.into_iter().filter(|key| !paths.contains(key));
        orphans.into_iter().try_for_each(std::fs::remove_file)
    }
}

/// Certificates of the mesh CAs whose keys a start would find, oldest first.
pub(crate) fn mesh_cas_of(
    config: &EnrollConfig,
    state_dir: &Path,
) -> Result<Vec<CertificateDer<'static>>, EnrollError> {
    let authorities = Authorities::load(config.mesh_ca.as_ref(), folder(state_dir))?;
    Ok(authorities.all().iter().map(|authority| authority.certificate().clone()).collect())
}

/// Where those that were made here are kept.
pub(super) fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("mesh-ca")
}

impl Enroll {
    /// The certificate of the mesh CA that is to follow those in force; made now if there is none.
    pub(crate) async fn prepare_mesh_ca(
        self: &Arc<Self>,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, AdminError> {
        let prepare = move |enroll: &Self| {
            let bundle = &enroll.trusted().bundle;
            let newest = choice::in_order(&bundle.mesh_roots).last().map(|root| root.not_before);
            enroll.authorities.prepare(newest.unwrap_or_default(), &bundle.vendor, now)
        };
        self.with_files(prepare).await.map(|authority| authority.certificate().clone())
    }

    /// Forgets the mesh CAs that the trust bundle in force does not name: after a rotation, or when one was given up.
    pub(super) async fn forget_mesh_cas(self: &Arc<Self>) -> Result<(), AdminError> {
        let forget = |enroll: &Self| {
            let bundle = &enroll.trusted().bundle;
            enroll.authorities.keep_only(bundle.mesh_roots.certificates()).map_err(AdminError::Folder)
        };
        self.with_files(forget).await
    }

    /// Files are touched on a thread for blocking work; it ends by itself.
    async fn with_files<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, AdminError> + Send + 'static,
    ) -> Result<T, AdminError> {
        let enroll = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&enroll)).await;
        done.map_err(|_| AdminError::NotNow("the broker is stopping"))?
    }

    /// Certificates of the mesh CAs whose keys are here, oldest first. The configured one counts while it is trusted: after a
    /// rotation away from it, its files are the administrator's to remove.
    pub(crate) fn mesh_cas(&self) -> Vec<CertificateDer<'static>> {
        let bundle = &self.trusted().bundle;
        let configured =
            self.authorities.configured.as_ref().map(|configured| configured.certificate().clone());
        let is_left = |der: &CertificateDer<'static>| {
            configured.as_ref() == Some(der) && !bundle.mesh_roots.certificates().contains(der)
        };
        let all = self.authorities.all();
        all.iter().map(|authority| authority.certificate().clone()).filter(|der| !is_left(der)).collect()
    }

    /// The certificate of the mesh CA that signs for replicas now.
    pub(crate) fn issuing(&self, now: UnixMillis) -> Option<CertificateDer<'static>> {
        self.issuer(choice::Whose::Replica, now).map(|authority| authority.certificate().clone())
    }

    /// The mesh CA that signs now: trusted by the bundle in force, its key here.
    pub(super) fn issuer(&self, whose: choice::Whose, now: UnixMillis) -> Option<Arc<Authority>> {
        let roots = choice::valid(&self.trusted().bundle.mesh_roots, now);
        let ours: Vec<_> = roots.iter().filter_map(|root| self.authorities.with(&root.der)).collect();
        let phase = *self.phase.borrow();
        choice::signs(&ours, phase, whose).cloned()
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
fn certificates(folder: &Path) -> io::Result<Vec<PathBuf>> {
    files(folder, "pem")
}

fn files(folder: &Path, kind: &str) -> io::Result<Vec<PathBuf>> {
    let files = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let paths: Vec<_> = files.take(MAX_FILES).map(|file| Ok(file?.path())).collect::<io::Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == kind)).collect())
}

/// A rotation a month for longer than any CA lives.
const MAX_FILES: usize = 256;

#[cfg(test)]
mod tests;
