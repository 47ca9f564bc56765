//! The small engine of the profile's tests, served for real by its descriptors.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll},
};

use futures_util::{StreamExt, future::BoxFuture, stream};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService},
    service::Routes,
};
use tower::{Service, service_fn};
use tracing::Span;
use tunnel_protos::dynamic::{Descriptors, DynamicCodec};
use tunnel_runtime::{
    drain,
    grpc::{GrpcLimits, GrpcServer},
    tasks::Task,
};

use super::*;
use crate::{engine::profile::testing, operations::NoArchive};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    Good,
    /// Its tasks end without having finished.
    Unfinished,
    /// Changes are refused, with words that would disguise a line.
    Refusing,
    /// Changes are never answered.
    Hanging,
    /// Changes end as a broken connection does.
    Breaking,
    /// Answers of more than 4 MiB.
    Huge,
    /// Thousands of nodes.
    Many,
    /// Its tasks say no after their first answer.
    Stopping,
    /// Its tasks never end telling.
    Endless,
}

/// One that listens.
pub(super) struct Shop {
    engine: Engine,
    replicas: Arc<AtomicU32>,
    _folder: TempDir,
    _server: Task<()>,
    _drain: drain::Drain,
}

impl Shop {
    pub(super) fn open(behavior: Behavior) -> Self {
        Self::beside(behavior, "unix:/nowhere")
    }

    /// With `absent` at that endpoint.
    pub(super) fn beside(behavior: Behavior, absent: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let replicas = Arc::new(AtomicU32::new(3));
        let (drain, watch) = drain::channel();
        let admin = Admin { replicas: Arc::clone(&replicas), behavior };
        let server = GrpcServer::new(Routes::new(admin), GrpcLimits::default());
        let server = Task::spawn(Span::none(), server.serve_unix(listener, watch));
        let endpoints =
            format!("endpoints: {{ default: \"unix:{}\", absent: \"{absent}\" }}", socket.display());
        let text = testing::PROFILE
            .replace(r#"endpoints: { default: "http://127.0.0.1:1", b: "http://127.0.0.1:2" }"#, &endpoints);
        let engine = Engine::new(testing::parse(&text).unwrap());
        Self { engine, replicas, _folder: folder, _server: server, _drain: drain }
    }

    pub(super) fn executor(&self) -> EngineExecutor {
        EngineExecutor { engine: watch::channel(self.engine.clone()).1, archive: Arc::new(NoArchive) }
    }

    pub(super) fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone)]
struct Admin {
    replicas: Arc<AtomicU32>,
    behavior: Behavior,
}

impl NamedService for Admin {
    const NAME: &'static str = "shop.v1.Admin";
}

type Answers = stream::BoxStream<'static, Result<DynamicMessage, Status>>;

impl Service<http::Request<Body>> for Admin {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let admin = self.clone();
        Box::pin(async move {
            let name = request.uri().path().trim_start_matches('/').to_owned();
            let set = Descriptors::decode(&testing::protoset()).unwrap();
            let method = set.method(&name.parse().unwrap()).unwrap();
            let codec = DynamicCodec::new(method.input());
            let serve = service_fn(move |asked: Request<DynamicMessage>| {
                let (admin, method) = (admin.clone(), method.clone());
                async move { Ok::<_, Status>(Response::new(admin.answer(&method, asked.into_inner()).await?)) }
            });
            Ok(Grpc::new(codec).server_streaming(serve, request).await)
        })
    }
}

impl Admin {
    async fn answer(&self, method: &Method, asked: DynamicMessage) -> Result<Answers, Status> {
        let name = method.name().method().to_owned();
        let answer = |json: String| method_answer(&name, &json);
        match name.as_str() {
            "Status" | "Nodes" => Ok(one(answer(self.shown(&name)))),
            "Work" => Ok(self.work()),
            _ => {
                self.misbehave().await?;
                if let Some(replicas) = asked.get_field_by_name("replicas").and_then(|value| value.as_u32()) {
                    self.replicas.store(replicas, Ordering::Relaxed);
                }
                Ok(one(answer("{}".to_owned())))
            }
        }
    }

    async fn misbehave(&self) -> Result<(), Status> {
        match self.behavior {
            Behavior::Refusing => Err(Status::invalid_argument("no\u{1b}[31m ".repeat(400))),
            Behavior::Breaking => Err(Status::unavailable("gone")),
            Behavior::Hanging => std::future::pending().await,
            _ => Ok(()),
        }
    }

    fn shown(&self, method: &str) -> String {
        let nodes =
            if self.behavior == Behavior::Many { 5_000 } else { self.replicas.load(Ordering::Relaxed) };
        let padding = if self.behavior == Behavior::Huge { "x".repeat(5 << 20) } else { String::new() };
        let node = |n| {
            format!(r#"{{"name":"storage-{n}","state":"NODE_STATE_READY","release":"1.0","startedAt":"5"}}"#)
        };
        if method == "Nodes" {
            let nodes: Vec<_> = (0..nodes).map(node).collect();
            return format!(r#"{{"nodes":[{}]}}"#, nodes.join(","));
        }
        format!(
            r#"{{"healthy":true,"parts":[{{"name":"storage","replicas":{nodes},"releaseName":"1.0"}}],
                "settings":{{"max-connections":"10"}},"detail":{{"text":"{padding}"}}}}"#
        )
    }

    fn work(&self) -> Answers {
        let finished = self.behavior != Behavior::Unfinished;
        let step = move |done: u64| {
            let finished = finished && done == 2;
            Ok(method_answer("Work", &format!(r#"{{"done":{done},"total":2,"finished":{finished}}}"#)))
        };
        match self.behavior {
            Behavior::Endless => {
                let same = method_answer("Work", r#"{"done":1,"total":2}"#);
                stream::repeat_with(move || Ok(same.clone())).boxed()
            }
            Behavior::Stopping => {
                stream::iter([step(1), Err(Status::failed_precondition("no room"))]).boxed()
            }
            _ => stream::iter([step(1), step(2)]).boxed(),
        }
    }
}

fn method_answer(method: &str, json: &str) -> DynamicMessage {
    testing::answer(method, json)
}

fn one(answer: DynamicMessage) -> Answers {
    stream::iter([Ok(answer)]).boxed()
}
