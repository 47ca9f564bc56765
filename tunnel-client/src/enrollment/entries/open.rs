//! What is in force at a start: what a person confirmed before, and the entry that the configuration names.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tunnel_protos::UnixMillis;

use super::{Entries, Office, Shared, Shown};
use crate::{
    audit::Audit,
    config::Cluster,
    disk::Disk,
    enrollment::{
        facts::Facts,
        guard::Guard,
        progress::Progress,
        record::{Confirmed, RecordError},
    },
    keys::{Keys, KeysError, Pair},
    requests::{Admission, KeyPair, Keyring},
    trust::Belief,
};

/// What entries are looked at with.
#[derive(Debug)]
pub struct Settings {
    /// The state folder.
    pub folder: PathBuf,
    /// Whose entry it must be.
    pub cluster: Cluster,
    /// An entry that the configuration names, which confirms it; followed while the client runs.
    pub configured: Option<PathBuf>,
    /// The cluster's keys.
    pub keys: Keys,
    /// Whose signature counts.
    pub belief: watch::Receiver<Arc<Belief>>,
    /// How far the enrollment is.
    pub progress: watch::Receiver<Progress>,
    /// What a registration of next keys says beside them.
    pub facts: Facts,
    /// The audit log.
    pub audit: Audit,
}

/// Why nobody can tell what was confirmed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What was confirmed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Keys beside those in force.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl Entries {
    /// Looks at everything once but the configured entry, which [`Office::begin`] reads: it may have to be recorded.
    pub fn open(settings: Settings, now: UnixMillis) -> Result<(Self, Office), OpenError> {
        let confirmed = Confirmed::read(&settings.folder)?;
        let (next, previous) = (Keys::next(&settings.folder)?, Keys::previous(&settings.folder)?);
        let until = confirmed.as_ref().and_then(|confirmed| confirmed.previous_until);
        let registration = next.as_ref().map(|next| next.registration.clone());
        let shared = Arc::new(Shared {
            admission: watch::Sender::new(Admission::Refusing(String::new())),
            keys: watch::Sender::new(Arc::new(ring(&settings.keys.pair(), previous.zip(until)))),
            registration: watch::Sender::new(registration),
            awaited: watch::Sender::new(None),
            progress: settings.progress.clone(),
            shown: Mutex::new(Shown::default()),
        });
        let (sender, commands) = mpsc::channel(QUEUE);
        let mut office = Office {
            settings,
            shared: shared.clone(),
            commands,
            next,
            confirmed,
            waiting: None,
            words: None,
            guard: Guard::new(),
            mark: None,
            again: None,
            disk: Disk::default(),
            file_fault: String::new(),
            refused: String::new(),
        };
        office.refresh(now);
        Ok((Self { shared, commands: sender }, office))
    }
}

/// The keys in force, and those before until then.
pub(super) fn ring(current: &Pair, previous: Option<(Pair, UnixMillis)>) -> Keyring {
    let pair = |pair: &Pair| KeyPair { cluster: pair.cluster.clone(), sealing: pair.sealing.clone() };
    Keyring { current: pair(current), previous: previous.map(|(previous, until)| (pair(&previous), until)) }
}

/// A few tunnels and people; beyond it, they wait.
const QUEUE: usize = 16;
