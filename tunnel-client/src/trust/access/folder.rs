//! Access CAs in the state folder: `access-ca.pem` is the first, `access-ca-1.pem` the next, each with its key, and
//! `access-ca.json` names those that count.

use std::{path::PathBuf, sync::Arc};

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tunnel_certs::{
    credential::{certificate_to_pem, certificates_from_pem},
    file::{self, FileError},
    issue::Authority,
    key::{Algorithm, SigningKey},
};
use tunnel_protos::{Label, UnixMillis};

use super::{AccessCaError, AccessCas, KIND};

/// A state folder.
#[derive(Debug, Clone)]
pub(super) struct Folder(pub(super) PathBuf);

/// Which generations count.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Named {
    pub(super) current: u32,
    #[serde(default)]
    pub(super) previous: Option<Previous>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Previous {
    pub(super) generation: u32,
    pub(super) until_ms: i64,
}

impl Folder {
    pub(super) fn load_or_create(&self, label: &Label, now: UnixMillis) -> Result<AccessCas, AccessCaError> {
        let named = self.named()?;
        let current = match named.current {
            0 if !self.certificate(0).exists() => self.create(0, label, now)?,
            generation => self.load(generation)?,
        };
        let Some(previous) = named.previous else { return Ok(AccessCas::new(current)) };
        if previous.until_ms <= now.0 {
            // The key of a CA that nobody trusts is worth nothing; it is gone at the next rotation at the latest.
            let _ = std::fs::remove_file(self.key(previous.generation));
            return Ok(AccessCas::new(current));
        }
        let authority = self.load(previous.generation)?;
        Ok(AccessCas::after(current, (authority, UnixMillis(previous.until_ms))))
    }

    /// The certificate of the one in force, for looking at it: no key is read; none if none was made yet.
    pub(super) fn in_force(&self) -> Result<Option<CertificateDer<'static>>, AccessCaError> {
        let path = self.certificate(self.named()?.current);
        let pem = match file::read(&path) {
            Ok(pem) => pem,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let read = certificates_from_pem(&pem).ok().and_then(|read| read.into_iter().next());
        read.map(Some).ok_or(AccessCaError::Malformed(path))
    }

    /// Makes one that does not count yet: a generation that was never made.
    pub(super) fn make(
        &self,
        label: &Label,
        now: UnixMillis,
    ) -> Result<(u32, Arc<Authority>), AccessCaError> {
        let mut generation = self.named()?.current + 1;
        // Left by a rotation that did not come to its end.
        while self.key(generation).exists() || self.certificate(generation).exists() {
            generation += 1;
        }
        Ok((generation, self.create(generation, label, now)?))
    }

    /// Lets these generations count; older ones are of no use any more.
    pub(super) fn name(&self, named: &Named) -> Result<(), FileError> {
        let path = self.0.join(NAMED);
        let text = serde_json::to_vec(named).map_err(|error| FileError::Io {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        file::write_private(&path, &text)?;
        let previous = named.previous.map(|previous| previous.generation);
        for old in (0..named.current).filter(|old| Some(*old) != previous) {
            // Nobody trusts it any more.
            let _ = std::fs::remove_file(self.key(old));
        }
        Ok(())
    }

    pub(super) fn named(&self) -> Result<Named, AccessCaError> {
        let path = self.0.join(NAMED);
        match file::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| AccessCaError::Malformed(path)),
            Err(error) if error.is_missing() => Ok(Named::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn load(&self, generation: u32) -> Result<Arc<Authority>, AccessCaError> {
        let loaded = Authority::load(&self.certificate(generation), &self.key(generation));
        loaded.map(Arc::new).map_err(AccessCaError::Authority)
    }

    fn create(
        &self,
        generation: u32,
        label: &Label,
        now: UnixMillis,
    ) -> Result<Arc<Authority>, AccessCaError> {
        let key =
            SigningKey::load_or_create(&self.key(generation), Algorithm::P256).map_err(AccessCaError::Key)?;
        let made = Authority::create(KIND, label.as_str(), Arc::new(key), now);
        let made = made.map_err(AccessCaError::Authority)?;
        let pem = certificate_to_pem(made.certificate());
        file::write(&self.certificate(generation), pem.as_bytes())?;
        Ok(Arc::new(made))
    }

    fn certificate(&self, generation: u32) -> PathBuf {
        self.0.join(format!("{}.pem", stem(generation)))
    }

    fn key(&self, generation: u32) -> PathBuf {
        self.0.join(format!("{}.key", stem(generation)))
    }
}

fn stem(generation: u32) -> String {
    if generation == 0 { "access-ca".to_owned() } else { format!("access-ca-{generation}") }
}

const NAMED: &str = "access-ca.json";
