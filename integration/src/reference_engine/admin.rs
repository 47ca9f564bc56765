//! The service `Admin`: maps messages to the store, the nodes and the long-running streams beside it.

use std::sync::Arc;

use tokio::time::sleep;
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataMap};

use super::{
    Parts,
    bulk::{self, SnapshotStream},
    cluster::{ChangeError, Rejected},
    debug,
    serve::Entrance,
    session::{self, SessionStream},
    tasks::{self, TaskStream},
};
use crate::generated::admin::v1::{
    ConfigureRequest, ConfigureResponse, DescribeCallRequest, DescribeCallResponse, EchoRequest,
    EchoResponse, GetDebugInfoRequest, GetDebugInfoResponse, GetStatusRequest, GetStatusResponse, Header,
    ImportRequest, ImportResponse, ListNodesRequest, ListNodesResponse, RestartRequest, RestartResponse,
    RunTaskRequest, ScaleRequest, ScaleResponse, SessionRequest, SnapshotRequest, UpgradeRequest,
    UpgradeResponse, admin_server::Admin,
};

/// Answers for the whole engine.
#[derive(Clone, Debug)]
pub(super) struct AdminService {
    parts: Arc<Parts>,
}

impl AdminService {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Self { parts }
    }

    fn status(&self) -> GetStatusResponse {
        let Parts { store, cluster, .. } = &*self.parts;
        let sizes = store.sizes();
        GetStatusResponse {
            release: cluster.release(),
            shards: store.shard_count() as u32,
            keys: sizes.keys,
            log_bytes: sizes.log_bytes,
            snapshot_bytes: sizes.snapshot_bytes,
            revision: store.revision(),
            healthy: cluster.is_healthy(),
            components: cluster.components(),
            settings: cluster.settings(),
            nodes: cluster.nodes(""),
        }
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    type RunTaskStream = TaskStream;
    type SnapshotStream = SnapshotStream;
    type SessionStream = SessionStream;

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        Ok(Response::new(self.status()))
    }

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let nodes = self.parts.cluster.nodes(&request.get_ref().component);
        Ok(Response::new(ListNodesResponse { nodes }))
    }

    async fn scale(&self, request: Request<ScaleRequest>) -> Result<Response<ScaleResponse>, Status> {
        let ScaleRequest { component, replicas } = request.into_inner();
        let previous_replicas =
            self.parts.cluster.change(|state, now| state.scale(&component, replicas, now))?;
        sleep(self.parts.pace).await;
        Ok(Response::new(ScaleResponse { previous_replicas, replicas }))
    }

    async fn restart(&self, request: Request<RestartRequest>) -> Result<Response<RestartResponse>, Status> {
        let RestartRequest { component, nodes, .. } = request.into_inner();
        let restarted = self.parts.cluster.change(|state, now| state.restart(&component, &nodes, now))?;
        sleep(self.parts.pace).await;
        Ok(Response::new(RestartResponse { restarted }))
    }

    async fn upgrade(&self, request: Request<UpgradeRequest>) -> Result<Response<UpgradeResponse>, Status> {
        let UpgradeRequest { component, release, nodes } = request.into_inner();
        let (previous_release, upgraded) =
            self.parts.cluster.change(|state, now| state.upgrade(&component, &nodes, &release, now))?;
        self.parts.publish_health().await;
        sleep(self.parts.pace).await;
        Ok(Response::new(UpgradeResponse { previous_release, release, upgraded }))
    }

    async fn configure(
        &self,
        request: Request<ConfigureRequest>,
    ) -> Result<Response<ConfigureResponse>, Status> {
        let settings = request.into_inner().settings;
        let previous = self.parts.cluster.change(|state, _| state.configure(settings))?;
        sleep(self.parts.pace).await;
        Ok(Response::new(ConfigureResponse { previous }))
    }

    async fn run_task(&self, request: Request<RunTaskRequest>) -> Result<Response<TaskStream>, Status> {
        tasks::run(Arc::clone(&self.parts.store), request.get_ref()).map(Response::new)
    }

    async fn get_debug_info(
        &self,
        _: Request<GetDebugInfoRequest>,
    ) -> Result<Response<GetDebugInfoResponse>, Status> {
        sleep(self.parts.pace).await;
        Ok(Response::new(debug::info(&self.parts)))
    }

    async fn snapshot(&self, request: Request<SnapshotRequest>) -> Result<Response<SnapshotStream>, Status> {
        bulk::snapshot(Arc::clone(&self.parts.store), request.get_ref()).map(Response::new)
    }

    async fn import(
        &self,
        request: Request<Streaming<ImportRequest>>,
    ) -> Result<Response<ImportResponse>, Status> {
        bulk::import(&self.parts.store, request.into_inner()).await.map(Response::new)
    }

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<SessionStream>, Status> {
        Ok(Response::new(session::answer(Arc::clone(&self.parts.store), request.into_inner())))
    }

    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        Ok(Response::new(EchoResponse { payload: request.into_inner().payload }))
    }

    async fn describe_call(
        &self,
        request: Request<DescribeCallRequest>,
    ) -> Result<Response<DescribeCallResponse>, Status> {
        describe(request)
    }
}

/// A successful answer bears the trailers as headers: tonic sends none of the server's own after a unary answer.
fn describe(request: Request<DescribeCallRequest>) -> Result<Response<DescribeCallResponse>, Status> {
    let listener = request.extensions().get::<Entrance>().map_or("", |entrance| entrance.0).to_owned();
    let metadata = headers(request.metadata());
    let DescribeCallRequest { status, status_message, trailers } = request.into_inner();
    let trailers = parse(trailers)?;
    match Code::from_i32(i32::try_from(status).unwrap_or_default()) {
        Code::Ok => {
            let mut response = Response::new(DescribeCallResponse { metadata, listener });
            *response.metadata_mut() = trailers;
            Ok(response)
        }
        code => Err(Status::with_metadata(code, status_message, trailers)),
    }
}

fn headers(metadata: &MetadataMap) -> Vec<Header> {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| Header {
        name: name.to_string(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    metadata.as_ref().iter().map(header).collect()
}

fn parse(headers: Vec<Header>) -> Result<MetadataMap, Status> {
    let mut map = http::HeaderMap::new();
    for Header { name, value } in headers {
        let name = http::HeaderName::try_from(name);
        let value = http::HeaderValue::try_from(value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Status::invalid_argument("malformed trailer"));
        };
        map.append(name, value);
    }
    Ok(MetadataMap::from_headers(map))
}

impl From<ChangeError> for Status {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Rejected(Rejected::UnknownComponent(_) | Rejected::UnknownNode(_)) => {
                Self::not_found(error.to_string())
            }
            ChangeError::Rejected(_) => Self::invalid_argument(error.to_string()),
            ChangeError::Save(_) => Self::internal(error.to_string()),
        }
    }
}
