//! The service `KV`, and the two commands that sessions share with it.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tonic::{Request, Response, Status};

use super::store::{Record, Store, Value, now_millis};
use crate::generated::kv::v1::{
    DeleteRequest, DeleteResponse, GetRequest, GetResponse, ListRequest, ListResponse, PutRequest,
    PutResponse, WatchRequest, WatchResponse, kv_server::Kv,
};

/// Answers for the data.
#[derive(Clone, Debug)]
pub(super) struct KvService {
    store: Arc<Store>,
}

impl KvService {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Kv for KvService {
    type ListStream = Answers<ListResponse>;
    type WatchStream = Answers<WatchResponse>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        get(&self.store, &request.into_inner()).map(Response::new)
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        put(&self.store, request.into_inner()).map(Response::new)
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let key = request.into_inner().key;
        let existed = self.store.contains(&key);
        if existed {
            self.store.write(key, None).map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(Response::new(DeleteResponse { existed }))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let records = self.store.list(&request.get_ref().prefix);
        Ok(Response::new(stream::iter(records).map(|record| Ok(listed(record))).boxed()))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let prefix = request.into_inner().prefix;
        let changes = BroadcastStream::new(self.store.watch());
        let matching = changes.filter_map(move |change| std::future::ready(watched(change, &prefix)));
        Ok(Response::new(matching.boxed()))
    }
}

pub(super) fn get(store: &Store, request: &GetRequest) -> Result<GetResponse, Status> {
    let (value, revision) = store.get(&request.key).ok_or_else(|| Status::not_found("no such key"))?;
    Ok(GetResponse { value, revision })
}

pub(super) fn put(store: &Store, request: PutRequest) -> Result<PutResponse, Status> {
    let PutRequest { key, value, ttl_millis } = request;
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Status::invalid_argument("a key has 1 to 1,024 bytes"));
    }
    if value.len() > MAX_VALUE {
        return Err(Status::invalid_argument("a value has at most 1 MiB"));
    }
    let expires_at = if ttl_millis == 0 { 0 } else { now_millis().saturating_add(ttl_millis) };
    let revision = store
        .write(key, Some(Value { bytes: value, expires_at }))
        .map_err(|error| Status::internal(error.to_string()))?;
    Ok(PutResponse { revision })
}

fn listed(record: Record) -> ListResponse {
    let value_bytes = record.value.map_or(0, |value| value.bytes.len() as u64);
    ListResponse { key: record.key, value_bytes, revision: record.revision }
}

fn watched(
    change: Result<Record, BroadcastStreamRecvError>,
    prefix: &str,
) -> Option<Result<WatchResponse, Status>> {
    match change {
        Ok(Record { key, value, revision }) => key.starts_with(prefix).then(|| {
            let value = value.map(|value| value.bytes);
            Ok(WatchResponse { key, value, revision })
        }),
        Err(BroadcastStreamRecvError::Lagged(missed)) => {
            Some(Err(Status::data_loss(format!("{missed} changes missed"))))
        }
    }
}

/// Said in the message's comment.
const MAX_KEY: usize = 1024;
/// Said in the message's comment.
const MAX_VALUE: usize = 1 << 20;
