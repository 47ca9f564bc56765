//! The access CAs: the one that issues, and for a while the one before it.
//!
//! Invariant: what a gate shows verifies for everyone whose outcome is of the last day, and what it accepts was issued
//! by a CA of this folder. A change counts once the file that names the generations is on the disk.

mod folder;

use std::{path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tunnel_certs::{
    file::FileError,
    issue::{Authority, AuthorityError, CaKind, MAX_CERTIFICATE_TTL},
    key::KeyError,
    roots::{Roots, RootsError},
};
use tunnel_protos::{Label, UnixMillis, approvers::AccessCaView};

use self::folder::{Folder, Named, Previous};
use super::Fingerprint;
use crate::{
    audit::{Audit, By, Event, Millis, Unwritable},
    disk::Disk,
};

/// The CAs that count now.
#[derive(Debug, Clone)]
pub struct AccessCas {
    current: Arc<Authority>,
    /// Accepted until then.
    previous: Option<(Arc<Authority>, UnixMillis)>,
}

/// Why the access CA cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AccessCaError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its private key.
    #[error("the access CA's private key")]
    Key(#[source] KeyError),
    /// Its certificate.
    #[error("the access CA")]
    Authority(#[source] AuthorityError),
    /// The file that names the generations.
    #[error("the access CA's file {0} is malformed")]
    Malformed(std::path::PathBuf),
}

/// Why the access CA was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The one before still serves those who hold only its anchor.
    #[error("the access CA before this one is accepted until {0}; rotate again after that")]
    Overlap(UnixMillis),
    /// Nothing is changed that is not recorded.
    #[error("not rotated: the audit log cannot be written")]
    Audit(#[source] Unwritable),
    /// A new one cannot be made or stored.
    #[error("not rotated")]
    Make(#[source] AccessCaError),
    /// Nobody answers.
    #[error("no answer in time; `tunnel-client status` shows whether the access CA was replaced")]
    Late,
}

/// Whether the access CA was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// It was.
    Yes,
    /// More than a third of its life is left.
    NotDue,
}

impl AccessCas {
    /// A CA that replaced none.
    pub const fn new(current: Arc<Authority>) -> Self {
        Self { current, previous: None }
    }

    /// A CA that replaced another, which is accepted until then.
    pub const fn after(current: Arc<Authority>, previous: (Arc<Authority>, UnixMillis)) -> Self {
        Self { current, previous: Some(previous) }
    }

    /// Issues grant certificates.
    pub fn current(&self) -> &Authority {
        &self.current
    }

    /// What operators are to verify gates by: the newest first.
    pub fn anchors(&self, now: UnixMillis) -> Vec<CertificateDer<'static>> {
        let previous = self.previous(now).map(|(authority, _)| authority);
        std::iter::once(&*self.current).chain(previous).map(|one| one.certificate().clone()).collect()
    }

    /// The CAs whose certificates open the gate at `now`.
    pub fn roots(&self, now: UnixMillis) -> Result<Roots, RootsError> {
        Roots::new(self.anchors(now))
    }

    /// Signs what the gate shows: the one before as long as it counts, since whoever asked before the change knows
    /// only that one, and whoever asked after it knows both.
    pub fn gate_issuer(&self, now: UnixMillis) -> &Authority {
        match self.previous(now) {
            Some((authority, _)) if authority.validity().1 > now.plus(MAX_CERTIFICATE_TTL) => authority,
            _ => &self.current,
        }
    }

    /// When something about the gate changes by itself.
    pub fn next_change(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.previous(now)
            .map(|(authority, until)| until.min(authority.validity().1.minus(MAX_CERTIFICATE_TTL)))
    }

    /// Whether less than a third of the life is left.
    fn is_due(&self, now: UnixMillis) -> bool {
        let (begin, end) = self.current.validity();
        end.since(now) < end.since(begin) / 3
    }

    fn previous(&self, now: UnixMillis) -> Option<(&Authority, UnixMillis)> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        previous.map(|(authority, until)| (&**authority, *until))
    }
}

/// The live access CAs; cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessCa {
    folder: Folder,
    label: Label,
    now: watch::Sender<Arc<AccessCas>>,
    /// The generations that count; the file may say otherwise only after a write whose end nobody knows.
    named: Arc<Mutex<Named>>,
    disk: Disk,
}

impl AccessCa {
    /// Loads the CAs of a state folder, making the first one if there is none.
    pub fn load_or_create(folder: &Path, label: &Label, now: UnixMillis) -> Result<Self, AccessCaError> {
        let folder = Folder(folder.to_owned());
        let cas = folder.load_or_create(label, now)?;
        let named = Arc::new(Mutex::new(folder.named()?));
        super::metrics::access_ca(cas.current().validity().1);
        let now = watch::Sender::new(Arc::new(cas));
        Ok(Self { folder, label: *label, now, named, disk: Disk::default() })
    }

    /// The certificate of the CA in force in a state folder, to be looked at only; none before the first start.
    pub fn in_force(folder: &Path) -> Result<Option<CertificateDer<'static>>, AccessCaError> {
        Folder(folder.to_owned()).in_force()
    }

    /// The CAs, now and later.
    pub fn subscribe(&self) -> watch::Receiver<Arc<AccessCas>> {
        self.now.subscribe()
    }

    /// Puts a new CA beside the one in force, which is accepted for another day; no session ends by it. One at a
    /// time, and to its end: a task is to own it.
    pub(super) async fn rotate(
        &self,
        if_due: bool,
        now: UnixMillis,
        by: By,
        audit: &Audit,
    ) -> Result<Rotated, RotateError> {
        let cas = self.now.borrow().clone();
        if if_due && !cas.is_due(now) {
            return Ok(Rotated::NotDue);
        }
        if let Some((_, until)) = cas.previous(now) {
            return Err(RotateError::Overlap(until));
        }
        let until = now.plus(OVERLAP);
        let (generation, authority) = self.make(now).await.map_err(RotateError::Make)?;
        let fingerprint = Fingerprint::of(authority.certificate()).to_string();
        let event = Event::AccessCa { fingerprint, previous_until: Millis(until), by };
        audit.record(event).await.map_err(RotateError::Audit)?;
        let previous = Previous { generation: self.named.lock().current, until_ms: until.0 };
        let named = Named { current: generation, previous: Some(previous) };
        self.name(named).await.map_err(|error| RotateError::Make(error.into()))?;
        *self.named.lock() = named;
        let next = AccessCas::after(authority, (cas.current.clone(), until));
        super::metrics::access_ca(next.current().validity().1);
        self.now.send_replace(Arc::new(next));
        tracing::info!("Access CA rotated");
        Ok(Rotated::Yes)
    }

    /// Writes down which CAs are in force, after a write whose end nobody knows.
    pub(super) async fn settle(&self) -> Result<(), FileError> {
        let named = *self.named.lock();
        self.name(named).await
    }

    async fn name(&self, named: Named) -> Result<(), FileError> {
        let folder = self.folder.clone();
        self.disk.run(move || folder.name(&named)).await
    }

    /// The CAs for people.
    pub fn view(&self, rotated: Rotated, now: UnixMillis) -> AccessCaView {
        let cas = self.now.borrow().clone();
        let previous = cas.previous(now);
        AccessCaView {
            rotated: rotated == Rotated::Yes,
            current_fingerprint: Fingerprint::of(cas.current.certificate()).to_string(),
            current_not_after_ms: cas.current.validity().1.0,
            previous_fingerprint: previous
                .map(|(authority, _)| Fingerprint::of(authority.certificate()).to_string())
                .unwrap_or_default(),
            previous_until_ms: previous.map_or(0, |(_, until)| until.0),
        }
    }

    /// What of it needs somebody.
    pub fn warning(&self, now: UnixMillis) -> Option<String> {
        let cas = self.now.borrow().clone();
        let end = cas.current.validity().1;
        (end.since(now) < WARNING)
            .then(|| format!("the access CA ends at {end}; run `tunnel-client ca rotate`"))
    }

    async fn make(&self, now: UnixMillis) -> Result<(u32, Arc<Authority>), AccessCaError> {
        let (folder, label) = (self.folder.clone(), self.label);
        self.disk.run(move || folder.make(&label, now)).await
    }
}

/// Certificates live a quarter of an hour, and for a day after a grant's end the gate still says so; an hour to spare.
const OVERLAP: Duration = Duration::from_secs(25 * 3600);
/// A twelfth of its life.
const WARNING: Duration = Duration::from_secs(30 * 24 * 3600);
/// What it signs is the access CA's alone.
const KIND: CaKind = CaKind::Access;

#[cfg(test)]
mod tests;
