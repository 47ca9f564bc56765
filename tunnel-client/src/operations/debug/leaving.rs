//! Bundles as runner and service of operations see them, and their way out in chunks.

use bytes::Bytes;
use futures_util::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{iter, once},
};
use tunnel_protos::{
    RequestId,
    operations::v1::{Bundle, BundleChunk},
};

use super::{Keeper, Refused, shelf::Record};
use crate::{
    engine::Engine,
    operations::{Archive, Chunks, Collecting, FetchError, Progress},
};

impl Archive for Keeper {
    fn make(
        &self,
        asked: Collecting,
        engine: Engine,
        progress: Progress,
    ) -> BoxFuture<'_, Result<Bundle, String>> {
        async move { self.make_bundle(asked, &engine, |done, total| progress.tell(done, total)).await }
            .boxed()
    }

    fn bundle(&self, id: &RequestId) -> Option<Bundle> {
        self.0.shelf.lock().get(id).map(Record::bundle)
    }

    fn fetch(&self, id: &RequestId, offset: u64) -> Result<Chunks, FetchError> {
        let record = self.leaving(id, offset).map_err(|why| refused(&why))?;
        let (keeper, id) = (self.clone(), *id);
        let chunks = async move {
            match keeper.fetched(&id, &record, offset).await {
                Ok(bytes) => chunks(record.bundle(), bytes).map(Ok).left_stream(),
                Err(error) => once(async move { Err(error.to_string()) }).right_stream(),
            }
        };
        Ok(chunks.flatten_stream().boxed())
    }

    fn forget(&self, id: &RequestId) {
        // What could not be deleted has no record any more, and goes at the next start.
        let _ = self.0.shelf.lock().delete(id);
    }
}

/// The first one says what it is, also of a bundle that is at its end.
fn chunks(bundle: Bundle, mut bytes: Bytes) -> impl Stream<Item = BundleChunk> + Send {
    let first = bytes.split_to(bytes.len().min(CHUNK));
    let first = BundleChunk { data: first.to_vec(), bundle: Some(bundle) };
    let rest = std::iter::from_fn(move || {
        let next = bytes.split_to(bytes.len().min(CHUNK));
        (!next.is_empty()).then(|| BundleChunk { data: next.to_vec(), bundle: None })
    });
    iter(std::iter::once(first).chain(rest))
}

fn refused(why: &Refused) -> FetchError {
    match why {
        Refused::Held | Refused::Never => FetchError::Held,
        Refused::Offset(bytes) => FetchError::Offset(*bytes),
        Refused::Unreadable | Refused::Busy | Refused::NotStored => FetchError::Unreadable,
        Refused::Unknown | Refused::NoFile | Refused::Changed => FetchError::None,
    }
}

/// As the protocol says.
const CHUNK: usize = 64 << 10;
