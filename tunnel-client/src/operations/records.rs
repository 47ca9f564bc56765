//! Runs in the store: one object each, beside the requests' own, written before each step and after.
//!
//! Invariant: one task at a time writes an object, so a version that is not as expected is our own write that was
//! answered too late.

use std::sync::Arc;

use tracing::warn;
use tunnel_protos::RequestId;
use tunnel_runtime::chain;

use super::{
    RECORDS,
    run::{Run, stored},
};
use crate::{
    clock::Clock,
    store::{Store, StoreError},
};

/// Where runs are kept; cheap to clone.
#[derive(Debug)]
pub(super) struct Records<S> {
    store: Arc<S>,
    clock: Clock,
}

/// A run with its version in the store; 0 before it is stored.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) run: Run,
    pub(super) version: u64,
}

/// Why the stored runs cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error("the operations' store")]
    Store(#[source] StoreError),
    /// An object cannot be read; to go on without it could do a step twice.
    #[error("stored operation {id}")]
    Decode {
        /// Its name.
        id: String,
        /// What is wrong with it.
        source: stored::DecodeError,
    },
}

impl<S> Clone for Records<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), clock: self.clock.clone() }
    }
}

impl<S: Store> Records<S> {
    pub(super) fn new(store: Arc<S>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Every run that is kept, in the order in which they began.
    pub(super) async fn load(&self) -> Result<Vec<Kept>, LoadError> {
        let objects = self.store.list().await.map_err(LoadError::Store)?;
        let ours = objects.into_iter().filter(|object| super::is_record(&object.id));
        let read = ours.map(|object| {
            let run = stored::decode(&object.body);
            let run = run.map_err(|source| LoadError::Decode { id: object.id, source })?;
            Ok(Kept { run, version: object.version })
        });
        let mut runs = read.collect::<Result<Vec<_>, LoadError>>()?;
        runs.sort_by_key(|kept| kept.run.started);
        Ok(runs)
    }

    /// Stores a run as it is now.
    pub(super) async fn save(&self, kept: &mut Kept) -> Result<(), StoreError> {
        let (name, body, now) = (name(&kept.run.id), stored::encode(&kept.run), self.clock.now());
        let saved = match kept.version {
            0 => self.store.create(&name, &body, now).await,
            version => self.store.update(&name, &body, version, now).await,
        };
        let saved = match saved {
            Err(StoreError::Exists | StoreError::Conflict) => {
                let found = self.store.get(&name).await?.map_or(0, |object| object.version);
                self.store.update(&name, &body, found, now).await
            }
            saved => saved,
        };
        kept.version = saved?;
        self.clock.stored(now);
        Ok(())
    }

    /// Removes what is kept of a run; what cannot be removed now goes by its age.
    pub(super) async fn remove(&self, id: &RequestId) {
        let name = name(id);
        let removed = async {
            match self.store.get(&name).await? {
                Some(object) => self.store.remove(&name, object.version, self.clock.now()).await,
                None => Ok(()),
            }
        };
        if let Err(error) = removed.await {
            warn!(error = %chain(&error), "Operation not removed");
        }
    }
}

fn name(id: &RequestId) -> String {
    format!("{RECORDS}{id}")
}
