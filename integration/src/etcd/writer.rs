//! A client that writes to an etcd cluster all the while, and knows which of its writes were acknowledged.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tonic::{
    Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;
use tracing::info_span;
use tunnel_runtime::tasks::Task;

/// Writes one key after the other, each until a member acknowledges it.
#[derive(Debug)]
pub struct Writer {
    task: Task<Result<u64>>,
    told: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    members: Vec<Channel>,
}

impl Writer {
    /// Starts at these members, as `http://` endpoints.
    pub fn start(endpoints: &[String]) -> Result<Self> {
        let member =
            |url: &String| Ok(Endpoint::from_shared(url.clone())?.connect_timeout(TRY).connect_lazy());
        let members = endpoints.iter().map(member).collect::<Result<Vec<_>>>()?;
        let ((stop, stopped), (tell, told)) = (watch::channel(false), watch::channel(0));
        let task = Task::spawn(info_span!("writer"), write(members.clone(), stopped, tell));
        Ok(Self { task, told, stop, members })
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        *self.told.borrow()
    }

    /// Ends the writing and reads every acknowledged write back; their number.
    pub async fn stop(self) -> Result<u64> {
        self.stop.send_replace(true);
        let acknowledged = self.task.await??;
        let member = self.members.first().context("no members")?;
        let range = RangeRequest { key: b"w/".to_vec(), range_end: b"w0".to_vec() };
        let found: RangeResponse = call(member, "/etcdserverpb.KV/Range", range).await?;
        for number in 0..acknowledged {
            let (key, value) = (key(number), value(number));
            let kept = found.kvs.binary_search_by(|pair| pair.key.cmp(&key)).ok();
            let kept = kept.and_then(|at| found.kvs.get(at)).map(|pair| &pair.value);
            ensure!(kept == Some(&value), "write {number} of {acknowledged} is lost: {kept:?}");
        }
        Ok(acknowledged)
    }
}

async fn write(
    members: Vec<Channel>,
    stopped: watch::Receiver<bool>,
    tell: watch::Sender<u64>,
) -> Result<u64> {
    let mut acknowledged = 0;
    for member in members.iter().cycle() {
        if *stopped.borrow() {
            break;
        }
        let put = PutRequest { key: key(acknowledged), value: value(acknowledged) };
        // The same pair again after a failure: whether it was lost or only its answer, it is there once.
        match timeout(TRY, call::<_, PutResponse>(member, "/etcdserverpb.KV/Put", put)).await {
            Ok(Ok(_)) => {
                acknowledged += 1;
                tell.send_replace(acknowledged);
            }
            Ok(Err(_)) | Err(_) => sleep(PAUSE).await,
        }
    }
    Ok(acknowledged)
}

async fn call<Q, A>(member: &Channel, method: &'static str, request: Q) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = Grpc::new(member.clone()).max_decoding_message_size(LARGEST_RANGE);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<Q, A>::default();
    let answer = grpc.unary(Request::new(request), PathAndQuery::from_static(method), codec).await?;
    Ok(answer.into_inner())
}

/// In the order of their numbers.
fn key(number: u64) -> Vec<u8> {
    format!("w/{number:012}").into_bytes()
}

fn value(number: u64) -> Vec<u8> {
    format!("value {number}").into_bytes()
}

/// As much of etcd's own messages as a writer needs.
#[derive(Clone, PartialEq, Eq, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, Eq, Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<Pair>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Pair {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

/// A member that is restarted does not answer; another one does.
const TRY: Duration = Duration::from_secs(2);
/// An election takes a second.
const PAUSE: Duration = Duration::from_millis(20);
/// Some hundred thousand small pairs.
const LARGEST_RANGE: usize = 64 << 20;
