//! Where requests and grants survive a restart: one object per request, named by its id, one object per transition.
//!
//! Shaped so that a second backend, which several replicas share, can take its place: create if absent,
//! update an expected version. Nothing is removed before its tombstone time; when that is, the caller knows.

mod mark;
pub mod sqlite;

use std::{future::Future, path::PathBuf, sync::Arc};

use tunnel_protos::UnixMillis;

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub id: String,
    /// Counts its changes from 1.
    pub version: u64,
    /// What it holds.
    pub body: Vec<u8>,
}

/// What the store says when a process starts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Raised at each start.
    pub epoch: u64,
    /// The highest time ever stored.
    pub time_seen: UnixMillis,
    /// Whether the store is older than what was once written, until what follows from that is stored.
    pub history: History,
    /// Requests issued before this are refused: they may have been answered before a restore.
    pub refuse_before: UnixMillis,
    /// The audit record that was the last durable one at the last commit.
    pub audited: u64,
}

/// Whether the store remembers all that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// It does.
    Whole,
    /// It, or the log beside it, was put back to an earlier state.
    Restored,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An object of this name exists.
    #[error("an object of this name exists already")]
    Exists,
    /// The object is not at the expected version.
    #[error("the object was changed in between")]
    Conflict,
    /// Another process uses the folder.
    #[error("{0} is in use by another process; this store serves exactly one replica")]
    Locked(PathBuf),
    /// A file could not be made or opened.
    #[error("cannot open {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the database cannot {action}")]
    Database {
        /// What was being done.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The database did not answer.
    #[error("the database did not {action} within {} s", DEADLINE.as_secs())]
    Timeout {
        /// What was being done.
        action: &'static str,
    },
}

/// What `requests/` needs of a store; each call is durable when it returns, and has a deadline of its own.
pub trait Store: Send + Sync + 'static {
    /// Raises the epoch and tells where this store stands; called once, first.
    fn start(&self, now: UnixMillis) -> impl Future<Output = Result<Start, StoreError>> + Send;

    /// Stores a new object as version 1; [`StoreError::Exists`] if there is one of this name.
    fn create(
        &self,
        id: &str,
        body: &[u8],
        now: UnixMillis,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Replaces an object that is at version `expected`; gives the new version.
    fn update(
        &self,
        id: &str,
        body: &[u8],
        expected: u64,
        now: UnixMillis,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Removes an object that is at version `expected`, and keeps `now`: at no earlier time may its id count as new.
    fn remove(
        &self,
        id: &str,
        expected: u64,
        now: UnixMillis,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Sets the highest time stored to `to`, even back, and distrusts what was issued before `refuse_before`.
    fn reset_time(
        &self,
        to: UnixMillis,
        refuse_before: UnixMillis,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The object of this name.
    fn get(&self, id: &str) -> impl Future<Output = Result<Option<Object>, StoreError>> + Send;

    /// All objects.
    fn list(&self) -> impl Future<Output = Result<Vec<Object>, StoreError>> + Send;

    /// Distrusts what was issued before `now`, and what is stored; each start says so until [`Store::settle`]. Gives
    /// what [`Start::refuse_before`] is from here on.
    fn distrust(&self, now: UnixMillis) -> impl Future<Output = Result<UnixMillis, StoreError>> + Send;

    /// What followed from the distrust is stored: from here on the store counts as whole, and the audit log as it is.
    fn settle(&self, now: UnixMillis) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends the use of the store in good order; what was stored needs no such end.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// One store for several rooms, each with names of its own.
impl<S: Store> Store for Arc<S> {
    async fn start(&self, now: UnixMillis) -> Result<Start, StoreError> {
        (**self).start(now).await
    }

    async fn create(&self, id: &str, body: &[u8], now: UnixMillis) -> Result<u64, StoreError> {
        (**self).create(id, body, now).await
    }

    async fn update(&self, id: &str, body: &[u8], expected: u64, now: UnixMillis) -> Result<u64, StoreError> {
        (**self).update(id, body, expected, now).await
    }

    async fn remove(&self, id: &str, expected: u64, now: UnixMillis) -> Result<(), StoreError> {
        (**self).remove(id, expected, now).await
    }

    async fn reset_time(&self, to: UnixMillis, refuse_before: UnixMillis) -> Result<(), StoreError> {
        (**self).reset_time(to, refuse_before).await
    }

    async fn get(&self, id: &str) -> Result<Option<Object>, StoreError> {
        (**self).get(id).await
    }

    async fn list(&self) -> Result<Vec<Object>, StoreError> {
        (**self).list().await
    }

    async fn distrust(&self, now: UnixMillis) -> Result<UnixMillis, StoreError> {
        (**self).distrust(now).await
    }

    async fn settle(&self, now: UnixMillis) -> Result<(), StoreError> {
        (**self).settle(now).await
    }

    async fn close(&self) {
        (**self).close().await;
    }
}

/// Far beyond any healthy disk; a caller would rather hear of a sick one.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);
