//! The service over a connection in memory, as the gate speaks to it.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tower::service_fn;
use tracing::Span;
use tunnel_protos::operations::v1::{Bundle, operations_client::OperationsClient};
use tunnel_runtime::{drain, tasks::Task};

use super::*;
use crate::operations::{
    Chunks, Collecting, Progress,
    board::{Board, Seen},
    run::Run,
    testing::{id, order, upgrade},
};

/// Decides about one operation, as it is told to.
#[derive(Debug, Clone)]
struct Rule {
    shown: Arc<Mutex<Option<Operation>>>,
    said: Arc<Mutex<Vec<&'static str>>>,
    refuses: Option<Refused>,
}

impl Office for Rule {
    fn operation(&self, of: &RequestId) -> Option<Operation> {
        self.said.lock().push("shown");
        self.shown.lock().clone().filter(|shown| shown.id == of.to_string())
    }

    fn state(&self, of: &RequestId) -> Option<RequestState> {
        self.shown.lock().as_ref().filter(|shown| shown.id == of.to_string()).map(Operation::state)
    }

    async fn start(&self, _: RequestId) -> Result<(), Refused> {
        self.said.lock().push("start");
        self.refuses.clone().map_or(Ok(()), Err)
    }

    async fn cancel(&self, _: RequestId) -> Result<(), Refused> {
        self.said.lock().push("cancel");
        self.refuses.clone().map_or(Ok(()), Err)
    }
}

/// Keeps one bundle of three bytes.
#[derive(Debug)]
struct Shelf {
    released: bool,
}

impl Archive for Shelf {
    fn make(
        &self,
        _: Collecting,
        _: crate::engine::Engine,
        _: Progress,
    ) -> futures_util::future::BoxFuture<'_, Result<Bundle, String>> {
        Box::pin(async { Err("not here".to_owned()) })
    }

    fn bundle(&self, _: &RequestId) -> Option<Bundle> {
        Some(Bundle { bytes: 3, released: self.released, ..Bundle::default() })
    }

    fn fetch(&self, of: &RequestId, offset: u64) -> Result<Chunks, FetchError> {
        if !self.released {
            return Err(FetchError::Held);
        }
        if offset > 3 {
            return Err(FetchError::Offset(3));
        }
        let data = b"abc"[usize::try_from(offset).unwrap()..].to_vec();
        let chunk = BundleChunk { data, bundle: self.bundle(of) };
        Ok(stream::iter([Ok(chunk)]).boxed())
    }

    fn forget(&self, _: &RequestId) {}
}

/// A service with a client that is let through by the gate as `grant`.
struct Line {
    client: OperationsClient<Channel>,
    rule: Rule,
    board: Board,
    grant: Option<String>,
    _server: Task<()>,
    _drain: drain::Drain,
}

impl Line {
    async fn new(released: bool, refuses: Option<Refused>) -> Self {
        let archive: Arc<dyn Archive> = Arc::new(Shelf { released });
        let (desk, _, behind) = Desk::new(Arc::clone(&archive));
        let shown =
            Operation { id: id().to_string(), state: RequestState::Approved.into(), ..Operation::default() };
        let rule = Rule { shown: Arc::new(Mutex::new(Some(shown))), said: Arc::default(), refuses };
        let server = server(rule.clone(), desk, archive);
        let (drain, watch) = drain::channel();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let serving = async move { server.serve_connection(far, http::Extensions::new(), watch).await };
        let server = Task::spawn(Span::none(), serving);
        let near = Arc::new(Mutex::new(Some(near)));
        let connector = service_fn(move |_| {
            let near = near.lock().take();
            async move { near.map(TokioIo::new).ok_or_else(|| std::io::Error::other("used")) }
        });
        let channel =
            Endpoint::from_static("http://operations").connect_with_connector(connector).await.unwrap();
        let client = OperationsClient::new(channel);
        Self {
            client,
            rule,
            board: behind.board,
            grant: Some(id().to_string()),
            _server: server,
            _drain: drain,
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(grant) = &self.grant {
            request.metadata_mut().insert(GRANT, grant.parse().unwrap());
        }
        request
    }

    async fn get(&mut self) -> Result<Operation, Status> {
        let request = self.request(api::GetRequest {});
        self.client.get(request).await.map(Response::into_inner)
    }
}

#[tokio::test]
async fn tells_of_the_operation_whose_grant_calls_and_of_no_other() {
    let mut line = Line::new(false, None).await;
    assert_eq!(line.get().await.unwrap().id, id().to_string());
    line.grant = Some(RequestId::random().to_string());
    assert_eq!(line.get().await.unwrap_err().code(), Code::NotFound);
    for odd in [None, Some("x".to_owned()), Some(String::new())] {
        line.grant = odd;
        assert_eq!(line.get().await.unwrap_err().code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn start_and_cancel_are_decided_where_requests_are() {
    let mut line = Line::new(false, None).await;
    let request = line.request(api::StartRequest {});
    line.client.start(request).await.unwrap();
    let request = line.request(api::CancelRequest {});
    line.client.cancel(request).await.unwrap();
    assert_eq!(*line.rule.said.lock(), ["start", "shown", "cancel", "shown"]);
    let why = Refused::NotNow("It waits for a person".to_owned());
    let mut line = Line::new(false, Some(why)).await;
    let request = line.request(api::StartRequest {});
    let refused = line.client.start(request).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "It waits for a person"));
}

#[tokio::test]
async fn a_watch_begins_before_the_run_and_ends_with_it() {
    let mut line = Line::new(false, None).await;
    let request = line.request(api::WatchRequest { after: 0 });
    let mut events = line.client.watch(request).await.unwrap().into_inner();
    let order = order(&upgrade());
    line.board.enter(id(), Seen::waiting(&order));
    let now = tunnel_protos::UnixMillis(1);
    let about = (id(), order.digest, order.operator.clone());
    let mut run = Run::new(about, (order.planned.bytes.clone(), order.planned.plan.clone()), now);
    line.board.show(&id(), |seen| seen.follow(&run));
    assert_eq!(events.message().await.unwrap().unwrap().text, "Started");
    run.stop("Cancelled by its operator", now);
    line.rule.shown.lock().as_mut().unwrap().state = RequestState::Cancelled.into();
    line.board.show(&id(), |seen| seen.follow(&run));
    let last = events.message().await.unwrap().unwrap();
    assert_eq!((last.state(), last.number), (RequestState::Cancelled, 2));
    assert!(events.message().await.unwrap().is_none());
    // Again, from where it was.
    let request = line.request(api::WatchRequest { after: 1 });
    let mut events = line.client.watch(request).await.unwrap().into_inner();
    assert_eq!(events.message().await.unwrap().unwrap().number, 2);
    assert!(events.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_watch_of_what_never_runs_ends() {
    let mut line = Line::new(false, None).await;
    line.rule.shown.lock().as_mut().unwrap().state = RequestState::Denied.into();
    let request = line.request(api::WatchRequest { after: 0 });
    let mut events = line.client.watch(request).await.unwrap().into_inner();
    let end = tokio::time::timeout(Duration::from_secs(20), events.message()).await;
    assert!(end.expect("it ends").unwrap().is_none());
    assert_eq!(*line.rule.said.lock(), ["shown"], "a look at where it stands is enough");
}

#[tokio::test]
async fn a_bundle_leaves_only_once_it_is_released() {
    let mut line = Line::new(false, None).await;
    let request = line.request(api::FetchBundleRequest { offset: 0 });
    let held = line.client.fetch_bundle(request).await.unwrap_err();
    assert_eq!(
        (held.code(), held.message()),
        (Code::FailedPrecondition, "the customer has not released the bundle yet")
    );
    let mut line = Line::new(true, None).await;
    let request = line.request(api::FetchBundleRequest { offset: 1 });
    let mut chunks = line.client.fetch_bundle(request).await.unwrap().into_inner();
    let chunk = chunks.message().await.unwrap().unwrap();
    assert_eq!((chunk.data.as_slice(), chunk.bundle.unwrap().bytes), (&b"bc"[..], 3));
    let request = line.request(api::FetchBundleRequest { offset: 4 });
    assert_eq!(line.client.fetch_bundle(request).await.unwrap_err().code(), Code::OutOfRange);
}
