//! Where debug bundles are made, kept and handed out, as runner and service see it.
//!
//! Invariant: what is not released does not leave, whoever asks.

use std::{fmt, pin::Pin};

#[cfg(test)]
use futures_util::FutureExt;
use futures_util::{Stream, future::BoxFuture};
use tunnel_protos::{
    Digest, OperatorName, RequestId,
    operations::v1::{Bundle, BundleChunk, Collected},
};

use crate::engine::Engine;

/// Makes, keeps and hands out debug bundles.
pub trait Archive: fmt::Debug + Send + Sync + 'static {
    /// Makes the bundle that was planned and keeps it; one that was made already is not made again. Every wait inside
    /// has a deadline, dropping it leaves nothing behind, and its error is one sentence.
    fn make(
        &self,
        asked: Collecting,
        engine: Engine,
        progress: Progress,
    ) -> BoxFuture<'_, Result<Bundle, String>>;

    /// The bundle that was made for a request, and whether it may leave; none if there is none.
    fn bundle(&self, id: &RequestId) -> Option<Bundle>;

    /// The released bundle from `offset` on; its first message says what it is.
    fn fetch(&self, id: &RequestId, offset: u64) -> Result<Chunks, FetchError>;

    /// The request may be forgotten, and its bundle deleted.
    fn forget(&self, id: &RequestId);
}

/// A bundle to be made.
#[derive(Debug, Clone)]
pub struct Collecting {
    /// The request.
    pub id: RequestId,
    /// Of its envelope.
    pub digest: Digest,
    /// Who asked.
    pub operator: OperatorName,
    /// Exactly what would be in it, as it was approved.
    pub leaves: Vec<Collected>,
}

/// Told how far a step is: units done, of so many.
#[derive(Clone)]
pub struct Progress(std::sync::Arc<dyn Fn(u64, u64) + Send + Sync>);

impl Progress {
    /// Calls `told` each time.
    pub fn new(told: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(told))
    }

    /// So many units are done, of so many.
    pub fn tell(&self, done: u64, total: u64) {
        (self.0)(done, total);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// A bundle on its way out; an error is one sentence.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<BundleChunk, String>> + Send>>;

/// Why a bundle does not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// None was made, or it was deleted.
    #[error("there is no bundle of this operation")]
    None,
    /// Not released.
    #[error("the customer has not released the bundle yet")]
    Held,
    /// Behind its end.
    #[error("the bundle has {0} bytes")]
    Offset(u64),
    /// The disk.
    #[error("the bundle cannot be read; try again")]
    Unreadable,
}

/// Where nothing is kept.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoArchive;

#[cfg(test)]
impl Archive for NoArchive {
    fn make(&self, _: Collecting, _: Engine, _: Progress) -> BoxFuture<'_, Result<Bundle, String>> {
        async { Err("This client makes no debug bundles".to_owned()) }.boxed()
    }

    fn bundle(&self, _: &RequestId) -> Option<Bundle> {
        None
    }

    fn fetch(&self, _: &RequestId, _: u64) -> Result<Chunks, FetchError> {
        Err(FetchError::None)
    }

    fn forget(&self, _: &RequestId) {}
}
