//! Bulk streams: the store out and in, or filler for measuring. Records may span messages.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tonic::{Status, Streaming};

use super::store::{Corrupt, Decoder, Store};
use crate::generated::admin::v1::{ImportRequest, ImportResponse, SnapshotRequest, SnapshotResponse};

/// Pieces of a snapshot.
pub(super) type SnapshotStream = Pin<Box<dyn Stream<Item = Result<SnapshotResponse, Status>> + Send>>;

/// Filler if asked for, else the records of one shard after the other.
pub(super) fn snapshot(store: Arc<Store>, request: &SnapshotRequest) -> Result<SnapshotStream, Status> {
    let chunk = match request.chunk_bytes as usize {
        0 => DEFAULT_CHUNK,
        size if size <= MAX_CHUNK => size,
        _ => return Err(Status::invalid_argument("chunk_bytes is at most 3 MiB")),
    };
    match request.generate_bytes {
        0 => Ok(records(store, chunk)),
        total if total <= MAX_FILLER => Ok(filler(total, chunk)),
        _ => Err(Status::invalid_argument("generate_bytes is at most 64 GiB")),
    }
}

fn records(store: Arc<Store>, chunk: usize) -> SnapshotStream {
    stream::iter(0..store.shard_count())
        .map(move |shard| store.export(shard))
        .flat_map(move |bytes| stream::iter(pieces(bytes, chunk)))
        .map(|data| Ok(SnapshotResponse { data }))
        .boxed()
}

fn pieces(mut bytes: Bytes, chunk: usize) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| bytes.split_to(chunk.min(bytes.len()))))
}

fn filler(total: u64, chunk: usize) -> SnapshotStream {
    let piece = Bytes::from(vec![0x5a; chunk]);
    let left_over = stream::unfold(total, move |left| {
        let size = left.min(piece.len() as u64);
        let data = piece.slice(..size as usize);
        std::future::ready((size > 0).then(|| (Ok(SnapshotResponse { data }), left - size)))
    });
    left_over.boxed()
}

/// Stores records as they arrive; those before a bad one stay.
pub(super) async fn import(
    store: &Store,
    mut messages: Streaming<ImportRequest>,
) -> Result<ImportResponse, Status> {
    let mut summary = ImportResponse::default();
    let mut decoder = Decoder::default();
    let mut discard = None;
    while let Some(message) = messages.message().await? {
        summary.bytes += message.data.len() as u64;
        if *discard.get_or_insert(message.discard) {
            continue;
        }
        decoder.extend(&message.data);
        while let Some(record) = decoder.next().map_err(bad_record)? {
            store.write(record.key, record.value).map_err(|error| Status::internal(error.to_string()))?;
            summary.records += 1;
        }
    }
    decoder.finish().map_err(bad_record)?;
    Ok(summary)
}

fn bad_record(error: Corrupt) -> Status {
    Status::invalid_argument(error.to_string())
}

/// The size bulk figures are quoted for.
const DEFAULT_CHUNK: usize = 64 << 10;
/// Below the 4 MiB that gRPC clients accept unless told otherwise.
const MAX_CHUNK: usize = 3 << 20;
/// A forgotten download must end.
const MAX_FILLER: u64 = 64 << 30;
