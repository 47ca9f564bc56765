//! The target `operations`: a real service of an operation behind the gate, instead of an engine.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use futures_util::Stream;
use parking_lot::Mutex;
use prost::Message;
use tempfile::TempDir;
use tonic::service::Routes;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};
use tunnel_certs::statement::request::{
    Operation as Asked,
    operation::{RunTask, Start, What},
};
use tunnel_protos::operations::v1::{
    BundleChunk, CancelRequest, Event, FetchBundleRequest, GetRequest, Operation, StartRequest, WatchRequest,
    operations_server::{Operations, OperationsServer},
};
use tunnel_runtime::grpc::GrpcLimits;

use super::*;
use crate::{
    audit::{line::Line, read::Lines},
    gate::grants::Operated,
    operations::Facts,
    policy::operation_methods,
};

const TASKS: &str = "{ version: 1, approvals: { runTask: { compact: auto } } }";

pub(super) fn granted(life: Life, dry_run: bool) -> (GrantsWriter, GrantRef) {
    let door = Door::from_random([5; 17]);
    let run = RunTask { task: "compact".parse().unwrap(), targets: Vec::new(), arguments: Vec::new() };
    let asked = Asked { what: What::RunTask(run), start: Start::OnCall, dry_run, wanted: Duration::ZERO };
    let methods: BTreeMap<_, _> =
        operation_methods(dry_run).into_iter().map(|name| (name, Level::Auto)).collect();
    let content = grants::Grant {
        methods,
        doors: [("operations".parse().unwrap(), door)].into(),
        operation: Some(Arc::new(Operated { asked, facts: Facts::default() })),
        ..testing::content(&[], door)
    };
    let (writer, view) = grants::channel();
    writer.put(content, life);
    (writer, view.door(&door).unwrap())
}

/// Answers with the grant that it was told, and remembers what it was called with.
#[derive(Clone, Default)]
struct Own(Arc<Mutex<Vec<tonic::metadata::MetadataMap>>>);

impl Own {
    fn answer<T>(&self, request: &tonic::Request<T>) -> Operation {
        self.0.lock().push(request.metadata().clone());
        let grant = request.metadata().get("postern-grant").unwrap().to_str().unwrap();
        Operation { id: grant.to_owned(), ..Operation::default() }
    }
}

type Answer<T> = Result<tonic::Response<T>, Status>;

#[tonic::async_trait]
impl Operations for Own {
    async fn get(&self, request: tonic::Request<GetRequest>) -> Answer<Operation> {
        Ok(tonic::Response::new(self.answer(&request)))
    }

    async fn start(&self, request: tonic::Request<StartRequest>) -> Answer<Operation> {
        Ok(tonic::Response::new(self.answer(&request)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

    async fn watch(&self, request: tonic::Request<WatchRequest>) -> Answer<Self::WatchStream> {
        self.answer(&request);
        let first = futures_util::stream::iter([Ok(Event { number: 1, ..Event::default() })]);
        Ok(tonic::Response::new(Box::pin(futures_util::StreamExt::chain(
            first,
            futures_util::stream::pending(),
        ))))
    }

    async fn cancel(&self, request: tonic::Request<CancelRequest>) -> Answer<Operation> {
        Ok(tonic::Response::new(self.answer(&request)))
    }

    type FetchBundleStream = Pin<Box<dyn Stream<Item = Result<BundleChunk, Status>> + Send>>;

    async fn fetch_bundle(&self, _: tonic::Request<FetchBundleRequest>) -> Answer<Self::FetchBundleStream> {
        Err(Status::not_found("no bundle"))
    }
}

fn server(own: &Own) -> GrpcServer {
    GrpcServer::new(Routes::new(OperationsServer::new(own.clone())), GrpcLimits::default())
}

async fn operating(options: Options) -> (Bench, Own) {
    let own = Own::default();
    let (policy, dry_run) = (TASKS, options.own.as_ref().is_some_and(|(_, dry_run)| *dry_run));
    let bench = bench_with(Options { policy, own: Some((server(&own), dry_run)), ..options }).await;
    (bench, own)
}

fn request(method: &str) -> Request<()> {
    let mut request = Operator::request("Get");
    let path = if method.contains('/') {
        method.to_owned()
    } else {
        format!("postern.operations.v1.Operations/{method}")
    };
    *request.uri_mut() = format!("https://door.example/{path}").parse().unwrap();
    let stolen = HeaderValue::from_static("11111111-1111-4111-8111-111111111111");
    request.headers_mut().insert("postern-grant", stolen);
    request.headers_mut().insert("x-allowed", HeaderValue::from_static("1"));
    request
}

/// A whole call of an empty message.
async fn call(bench: &mut Bench, method: &str) -> Reply {
    say(bench, method, frame(b"")).await
}

async fn say(bench: &mut Bench, method: &str, message: Bytes) -> Reply {
    let (response, mut body) = bench.operator.begin(request(method), false).await;
    body.send_data(message, true).unwrap();
    collect(response).await.unwrap()
}

#[tokio::test]
async fn the_service_hears_from_the_gate_whose_operation_is_meant() {
    let (mut bench, own) = operating(Options::default()).await;
    let reply = call(&mut bench, "Get").await;
    assert_eq!(reply.status.code(), Code::Ok, "{:?}", reply.status);
    let told = Operation::decode(&reply.data[5..]).unwrap();
    assert_eq!(told.id, bench.grant.to_string());
    assert_eq!(own.0.lock()[0].get_all("postern-grant").iter().count(), 1);
    assert!(own.0.lock()[0].get("x-allowed").is_none(), "an engine's metadata is none of ours");
    assert_eq!(bench.engine.seen().connections, 0);
}

#[tokio::test]
async fn nothing_else_is_behind_it() {
    let (mut bench, own) = operating(Options::default()).await;
    for method in ["engine.admin.v1.Admin/Get", "postern.approvers.v1.Approvers/Approve", "Later"] {
        let reply = call(&mut bench, method).await;
        assert_eq!(reply.reason(), "METHOD_NOT_GRANTED", "{method}");
    }
    assert!(own.0.lock().is_empty());
    assert_eq!(bench.engine.seen().connections, 0);
}

#[tokio::test]
async fn the_grant_of_a_dry_run_only_looks() {
    let own = Some((server(&Own::default()), true));
    let (mut bench, own) = operating(Options { own, ..Options::default() }).await;
    assert_eq!(call(&mut bench, "Get").await.status.code(), Code::Ok);
    for method in ["Start", "Watch", "Cancel", "FetchBundle"] {
        assert_eq!(call(&mut bench, method).await.reason(), "METHOD_NOT_GRANTED");
    }
    assert_eq!(own.0.lock().len(), 1);
}

#[tokio::test]
async fn begin_and_cancel_are_recorded_as_what_changes_something() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let cluster =
        crate::config::Cluster { name: "acme/prod".parse().unwrap(), label: "k3v7aaaaaa".parse().unwrap() };
    let settings = crate::config::AuditConfig::default().settings(folder.path(), &cluster);
    let (audit, log) = Audit::open(settings).unwrap();
    let (mut bench, _own) = operating(Options { audit, ..Options::default() }).await;
    for method in ["Get", "Start", "Cancel"] {
        assert_eq!(call(&mut bench, method).await.status.code(), Code::Ok);
    }
    bench.policy.send_replace(Arc::new(testing::policy(TASKS)));
    assert_eq!(call(&mut bench, "Get").await.status.code(), Code::Ok);
    bench.session.abort();
    let _ = bench.session.await;
    log.close().await;
    let lines = Lines::open(&folder.path().join("audit")).unwrap();
    let kinds = lines.filter_map(|line| Line::parse(&line.unwrap().bytes)).map(|line| line.kind);
    let mut kinds: Vec<_> = kinds.filter(|kind| kind != "origin" && kind != "stopped").collect();
    kinds.sort();
    assert_eq!(kinds, ["call", "call", "callEnded", "callEnded", "read", "read"]);
}

#[tokio::test]
async fn a_stricter_policy_cuts_who_watches_and_refuses_the_rest() {
    let (mut bench, _own) = operating(Options::default()).await;
    let (response, mut body) = bench.operator.begin(request("Watch"), false).await;
    body.send_data(frame(b""), true).unwrap();
    let mut back = response.await.unwrap().into_body();
    back.data().await.unwrap().unwrap();
    bench
        .policy
        .send_replace(Arc::new(testing::policy("{ version: 1, approvals: { runTask: { compact: deny } } }")));
    let status = ending(back).await;
    assert_eq!(reason(&status), "POLICY_STRICTER");
    assert!(status.message().contains("approvals.runTask.compact"), "{}", status.message());
    assert_eq!(call(&mut bench, "Get").await.reason(), "POLICY_STRICTER");
}

#[tokio::test]
async fn the_end_of_the_grant_ends_who_watches() {
    let (mut bench, _own) = operating(Options::default()).await;
    let (response, mut body) = bench.operator.begin(request("Watch"), false).await;
    body.send_data(frame(b""), true).unwrap();
    let mut back = response.await.unwrap().into_body();
    back.data().await.unwrap().unwrap();
    bench.writer.set_life(&bench.grant, Life::Over(Over::Revoked));
    assert_eq!(reason(&ending(back).await), "GRANT_REVOKED");
    assert_eq!(bench.end().await, End::Cut);
}

#[tokio::test]
async fn reflection_tells_of_the_operation_and_of_nothing_else_of_ours() {
    let descriptors = super::super::super::operations::descriptors();
    let (mut bench, _own) = operating(Options { descriptors, ..Options::default() }).await;
    let list = MessageRequest::ListServices(String::new());
    let asked = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let method = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let reply = say(&mut bench, method, frame(&asked.encode_to_vec())).await;
    let answer = ServerReflectionResponse::decode(&reply.data[5..]).unwrap();
    let Some(MessageResponse::ListServicesResponse(found)) = answer.message_response else {
        panic!("no list")
    };
    let names: Vec<_> = found.service.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["postern.operations.v1.Operations"]);
}
