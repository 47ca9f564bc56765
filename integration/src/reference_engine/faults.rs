//! The service `Faults`: misbehavior that still is well-formed gRPC. What is not is in `wire_fault.rs`.

use std::{future::pending, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::sleep;
use tonic::{Request, Response, Status};

use crate::generated::admin::v1::{
    FloodRequest, FloodResponse, HangRequest, HangResponse, HeadersRequest, HeadersResponse, HugeRequest,
    HugeResponse, SlowRequest, SlowResponse, StallRequest, StallResponse, faults_server::Faults,
};

/// Does as it is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultsService;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Faults for FaultsService {
    type StallStream = Answers<StallResponse>;
    type FloodStream = Answers<FloodResponse>;

    async fn hang(&self, _: Request<HangRequest>) -> Result<Response<HangResponse>, Status> {
        pending().await
    }

    async fn slow(&self, request: Request<SlowRequest>) -> Result<Response<SlowResponse>, Status> {
        sleep(Duration::from_millis(request.get_ref().delay_millis.into())).await;
        Ok(Response::new(SlowResponse {}))
    }

    async fn huge(&self, request: Request<HugeRequest>) -> Result<Response<HugeResponse>, Status> {
        let filler = filler(request.get_ref().bytes, MAX_HUGE)?;
        Ok(Response::new(HugeResponse { filler }))
    }

    async fn headers(&self, request: Request<HeadersRequest>) -> Result<Response<HeadersResponse>, Status> {
        let mut response = Response::new(HeadersResponse {});
        let value = filler(request.get_ref().bytes.min(HEADER), MAX_HEADERS)?;
        let value = http::HeaderValue::from_maybe_shared(value)
            .map_err(|error| Status::internal(error.to_string()))?;
        let mut headers = http::HeaderMap::new();
        for _ in 0..request.get_ref().bytes.min(MAX_HEADERS).div_ceil(HEADER) {
            headers.append("filler", value.clone());
        }
        *response.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        Ok(response)
    }

    async fn stall(&self, _: Request<StallRequest>) -> Result<Response<Self::StallStream>, Status> {
        let first = stream::once(async { Ok(StallResponse { sequence: 1 }) });
        Ok(Response::new(first.chain(stream::pending()).boxed()))
    }

    async fn flood(&self, request: Request<FloodRequest>) -> Result<Response<Self::FloodStream>, Status> {
        let bytes = match request.get_ref().message_bytes {
            0 => DEFAULT_MESSAGE,
            bytes => bytes,
        };
        let filler = filler(bytes, MAX_MESSAGE)?;
        let messages =
            stream::iter(1..).map(move |sequence| Ok(FloodResponse { sequence, filler: filler.clone() }));
        Ok(Response::new(messages.boxed()))
    }
}

fn filler(bytes: u32, at_most: u32) -> Result<Bytes, Status> {
    if bytes > at_most {
        return Err(Status::invalid_argument(format!("at most {at_most} bytes")));
    }
    Ok(vec![b'z'; bytes as usize].into())
}

/// Far beyond what any receiver should take in one message.
const MAX_HUGE: u32 = 256 << 20;
/// Far beyond what any receiver should take as headers.
const MAX_HEADERS: u32 = 16 << 20;
/// One header of many.
const HEADER: u32 = 8 << 10;
const DEFAULT_MESSAGE: u32 = 64 << 10;
/// Below the 4 MiB that gRPC clients accept unless told otherwise.
const MAX_MESSAGE: u32 = 3 << 20;
