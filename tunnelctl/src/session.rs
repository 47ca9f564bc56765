//! Sessions: the files of a certificate under a grant, and end-to-end TLS to the grant's doors.
//!
//! The gate is believed only if its certificate chains to the anchors that came in the cluster's signed outcome.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tunnel_certs::{
    credential::{Credential, CredentialError, certificate_to_pem, certificates_from_pem},
    file::{self, FileError},
    key::{Algorithm, KeyError, SigningKey},
    roots::{Roots, RootsError},
};
use tunnel_protos::{
    ClusterName, DoorName, GrantId, Label, MethodName, MethodPattern, Suffix, TargetName, UnixMillis,
};

use crate::{folder, requester::Certified};

mod dial;
mod manifest;
mod store;

pub use self::{
    dial::{DialError, Line},
    store::Sessions,
};

/// Why the files of a session could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot keep the session")]
    File(#[source] FileError),
    /// The folder of sessions could not be listed or cleared.
    #[error("cannot clear {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what was written.
    #[error("{} is damaged; delete its folder and connect again", .0.display())]
    Damaged(PathBuf),
    /// No key could be made.
    #[error("cannot make a key for the session")]
    Key(#[source] KeyError),
    /// Certificate and key cannot be used.
    #[error("the session's certificate cannot be used; connect again")]
    Credential(#[source] CredentialError),
    /// The anchors cannot be used.
    #[error("the session's anchors cannot be used; connect again")]
    Anchors(#[source] RootsError),
}

/// What a session may do, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Where its files are.
    pub folder: PathBuf,
    /// The cluster.
    pub cluster: ClusterName,
    /// The cluster's label.
    pub label: Label,
    /// The grant.
    pub grant: GrantId,
    /// Host names of doors by target.
    pub doors: BTreeMap<TargetName, String>,
    /// Where to connect instead of the door's own name.
    pub connect_address: Option<String>,
    /// When the certificate ends.
    pub certificate_until: UnixMillis,
    /// When the grant ends.
    pub until: UnixMillis,
    /// What was granted.
    pub methods: Vec<MethodPattern>,
}

impl Session {
    /// Describes the session that `certified` opens, with its files in `folder`.
    pub fn new(
        folder: PathBuf,
        place: Place<'_>,
        grant: GrantId,
        certified: &Certified,
        methods: Vec<MethodPattern>,
    ) -> Self {
        let host = |door| DoorName { door, label: place.label }.host(place.suffix);
        Self {
            folder,
            cluster: place.cluster.clone(),
            label: place.label,
            grant,
            doors: certified.doors.iter().map(|(target, door)| (target.clone(), host(*door))).collect(),
            connect_address: place.connect_address.map(Into::into),
            certificate_until: certified.not_after,
            until: certified.work_until,
            methods,
        }
    }

    /// Writes ca.pem, cert.pem, key.pem and a description, each 0600 and each in one step. A renewed certificate is for
    /// the key that lies there already, so whoever reads the files in between finds a pair that fits.
    pub fn save(&self, certified: &Certified) -> Result<(), Error> {
        let anchors = certified.anchors.certificates().iter().map(|der| certificate_to_pem(der));
        self.write(KEY, certified.credential.key().to_pem().as_bytes())?;
        self.write(CA, anchors.collect::<String>().as_bytes())?;
        self.write(CERTIFICATE, certificate_to_pem(certified.credential.certificate()).as_bytes())?;
        self.write(MANIFEST, &manifest::encode(self))
    }

    /// The key for a certificate under `grant` in `folder`: the one of the session there, else a new one.
    pub fn key(folder: &Path, grant: GrantId) -> Result<Arc<SigningKey>, Error> {
        let own = Self::load(folder).is_ok_and(|session| session.grant == grant);
        let kept = own.then(|| SigningKey::load(&folder.join(KEY)).ok()).flatten();
        let key = kept.map_or_else(|| SigningKey::generate(Algorithm::P256), Ok);
        key.map(Arc::new).map_err(Error::Key)
    }

    /// Removes the files of a session that is over, and their folder if nothing else lies there.
    pub fn erase(&self) -> Result<(), Error> {
        for name in [KEY, CERTIFICATE, CA, MANIFEST] {
            let path = self.file(name);
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Folder { path, source });
                }
                _ => {}
            }
        }
        // A folder that holds something else stays.
        let _ = std::fs::remove_dir(&self.folder);
        Ok(())
    }

    /// Reads the description of the session in `folder`.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        let bytes = file::read_private(&path).map_err(Error::File)?;
        manifest::decode(folder, &bytes).ok_or(Error::Damaged(path))
    }

    /// A way to one target's door.
    pub fn line(&self, target: &TargetName) -> Result<Option<Line>, Error> {
        let Some(host) = self.doors.get(target) else { return Ok(None) };
        let credential =
            Credential::load(&self.file(CERTIFICATE), &self.file(KEY)).map_err(Error::Credential)?;
        let pem = file::read(&self.file(CA)).map_err(Error::File)?;
        let anchors = certificates_from_pem(&pem).map_err(Error::Credential)?;
        let anchors = Roots::new(anchors).map_err(Error::Anchors)?;
        Ok(Some(Line { host: host.clone(), address: self.address(host), credential, anchors }))
    }

    /// Where a connection to `host` goes.
    pub fn address(&self, host: &str) -> String {
        self.connect_address.clone().unwrap_or_else(|| format!("{host}:443"))
    }

    /// Whether `method` on `target` may be called until at least `now`.
    pub fn allows(&self, method: &MethodName, target: &TargetName, now: UnixMillis) -> bool {
        self.certificate_until > now
            && self.doors.contains_key(target)
            && self.methods.iter().any(|pattern| pattern.matches(method))
    }

    /// One of the session's files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        folder::write(&self.file(name), bytes).map_err(Error::File)
    }
}

/// Which cluster, and how its doors are reached.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The cluster.
    pub cluster: &'a ClusterName,
    /// Its label.
    pub label: Label,
    /// The suffix of doors.
    pub suffix: &'a Suffix,
    /// Where to connect instead of the door's own name.
    pub connect_address: Option<&'a str>,
}

/// Anchors of the gate.
pub const CA: &str = "ca.pem";
/// The grant certificate.
pub const CERTIFICATE: &str = "cert.pem";
/// Its key.
pub const KEY: &str = "key.pem";
const MANIFEST: &str = "session.json";

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use samples::sample;
