//! The engine's make-believe machines: components with nodes, releases and settings. The state is in one file that is
//! replaced whole at each change.

mod state;

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::Duration};

use parking_lot::Mutex;
pub(super) use state::{Rejected, State};
use thiserror::Error;

use super::store::now_millis;
use crate::generated::admin::v1::{Component, Node};

/// Nodes and settings, saved before a change is answered.
#[derive(Debug)]
pub(super) struct Cluster {
    file: PathBuf,
    startup: Duration,
    state: Mutex<State>,
}

/// Why the state cannot be read.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The file is not ours.
    #[error("cannot understand {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: serde_json::Error,
    },
}

/// Why a change was not made.
#[derive(Debug, Error)]
pub(super) enum ChangeError {
    /// The caller asked for what cannot be.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The state could not be saved.
    #[error("cannot save the cluster's state")]
    Save(#[source] io::Error),
}

impl Cluster {
    pub(super) fn open(file: PathBuf, startup: Duration) -> Result<Self, OpenError> {
        let state = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| OpenError::Parse { path: file.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::first(now_millis()),
            Err(source) => return Err(OpenError::Read { path: file, source }),
        };
        Ok(Self { file, startup, state: Mutex::new(state) })
    }

    /// Makes a change at the present time and saves it; a change that is not saved is not made.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut State, u64) -> Result<T, Rejected>,
    ) -> Result<T, ChangeError> {
        let mut state = self.state.lock();
        let mut next = state.clone();
        let answer = change(&mut next, now_millis())?;
        self.save(&next).map_err(ChangeError::Save)?;
        *state = next;
        Ok(answer)
    }

    pub(super) fn nodes(&self, component: &str) -> Vec<Node> {
        self.state.lock().nodes(component, now_millis(), self.startup_millis())
    }

    pub(super) fn components(&self) -> Vec<Component> {
        self.state.lock().components(now_millis(), self.startup_millis())
    }

    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        self.state.lock().settings()
    }

    /// The release of the component that holds the data.
    pub(super) fn release(&self) -> String {
        self.state.lock().release().to_owned()
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.state.lock().is_healthy()
    }

    fn startup_millis(&self) -> u64 {
        u64::try_from(self.startup.as_millis()).unwrap_or(u64::MAX)
    }

    fn save(&self, state: &State) -> io::Result<()> {
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, serde_json::to_vec_pretty(state)?)?;
        fs::rename(&fresh, &self.file)
    }
}
