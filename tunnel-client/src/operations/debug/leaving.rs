//! Bundles as runner and service of operations see them, and their way out in chunks.

use std::future::ready;

use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::once};
use tracing::info_span;
use tunnel_protos::{
    RequestId,
    operations::v1::{Bundle, BundleChunk},
};

use super::{Keeper, Refused, lent::Lent, record::Record};
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
        self.0.shelf.get(id).as_ref().map(Record::bundle)
    }

    fn fetch(&self, id: &RequestId, offset: u64) -> Result<Chunks, FetchError> {
        let record = self.leaving(id, offset).map_err(|why| refused(&why))?;
        if offset == record.bytes() {
            // Nothing is read for it, and nothing leaves.
            let end = BundleChunk { data: Vec::new(), bundle: Some(record.bundle()) };
            return Ok(once(async { Ok(end) }).boxed());
        }
        let (keeper, id, bundle) = (self.clone(), *id, record.bundle());
        let chunks = async move {
            match keeper.fetched(&id, &record, offset).await {
                Ok(archive) => {
                    let may_leave = move || keeper.may_leave(&id, &record);
                    chunks(bundle, archive, may_leave).left_stream()
                }
                Err(error) => once(async move { Err(error.to_string()) }).right_stream(),
            }
        };
        Ok(chunks.flatten_stream().boxed())
    }

    fn forget(&self, id: &RequestId) {
        let (keeper, id) = (self.clone(), *id);
        if !keeper.0.shelf.hold(&id) {
            return;
        }
        self.0.forgetting.spawn(info_span!("bundle"), async move {
            // What could not be deleted is held, and listed for whoever deletes it by hand.
            let _ = keeper.delete(id, None).await;
        });
    }
}

/// The first one says what it is. Each asks once more, because what takes a while may be deleted, or forbidden, meanwhile;
/// a no is the last.
fn chunks(
    bundle: Bundle,
    archive: Lent,
    may_leave: impl Fn() -> Result<(), Refused> + Send,
) -> impl Stream<Item = Result<BundleChunk, String>> + Send {
    let mut bundle = Some(bundle);
    archive.parts().scan(true, move |goes_on, part| {
        let chunk = may_leave().map_err(|error| error.to_string()).and_then(|()| {
            let data = part.map_err(|error| error.to_string())?;
            Ok(BundleChunk { data, bundle: bundle.take() })
        });
        let before = std::mem::replace(goes_on, chunk.is_ok());
        ready(before.then_some(chunk))
    })
}

fn refused(why: &Refused) -> FetchError {
    match why {
        Refused::Held | Refused::Never => FetchError::Held,
        Refused::Offset(bytes) => FetchError::Offset(*bytes),
        Refused::Unreadable | Refused::Busy | Refused::NotStored => FetchError::Unreadable,
        Refused::Unknown | Refused::NoFile | Refused::Changed => FetchError::None,
    }
}
