//! A broker's operators' API on in-memory pipes; a script says what each watch tells, honest or not.

use std::{collections::HashMap, net::SocketAddr, pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt, stream};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{io::DuplexStream, net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, Server, Uri, server::Router},
};
use tunnel_certs::seal;
use tunnel_protos::{
    operators::{
        Cluster, Delivery, GetClusterRequest, ListClustersReply, ListClustersRequest, SubmitReply,
        SubmitRequest, WatchRequestEvent, WatchRequestRequest, WhoAmIReply, WhoAmIRequest,
        operators_server::{Operators, OperatorsServer},
        watch_request_event::Event,
    },
    v1::{SealedOutcome, SealedRequest},
};

use crate::api::Api;

/// What one watch tells: events, then silence, or an end.
pub(crate) enum Script {
    ThenSilence(Vec<Event>),
    ThenEnd(Vec<Event>),
    Refused(Status),
    Live(Pin<Box<dyn Stream<Item = Event> + Send>>),
}

/// Says what the `n`-th watch (from 0, over all requests) of a request tells.
type Play = dyn Fn(usize, &SealedRequest) -> Script + Send + Sync;

/// The broker.
#[derive(Clone)]
pub(crate) struct Broker(Arc<Inner>);

struct Inner {
    listed: Option<Cluster>,
    play: Box<Play>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    submitted: Vec<Vec<u8>>,
    mailbox: HashMap<Vec<u8>, SealedRequest>,
    watches: usize,
}

impl Broker {
    pub(crate) fn new(play: impl Fn(usize, &SealedRequest) -> Script + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { listed: None, play: Box::new(play), books: Mutex::default() }))
    }

    /// The same, showing one cluster.
    pub(crate) fn listing(
        listed: Cluster,
        play: impl Fn(usize, &SealedRequest) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner { listed: Some(listed), play: Box::new(play), books: Mutex::default() }))
    }

    /// Its API, to be served.
    pub(crate) fn router(&self) -> Router {
        Server::builder().add_service(OperatorsServer::new(self.clone()))
    }

    /// Envelope ids in the order of their submission.
    pub(crate) fn submitted(&self) -> Vec<Vec<u8>> {
        self.0.books.lock().submitted.clone()
    }

    /// A client of it; the broker lives as long as the set.
    pub(crate) fn api(&self, tasks: &mut JoinSet<()>) -> Api {
        Api::over(serve(self.router(), tasks))
    }
}

/// Serves `router` on in-memory pipes.
pub(crate) fn serve(router: Router, tasks: &mut JoinSet<()>) -> Channel {
    let sender = accept(router, tasks);
    let connector = tower::service_fn(move |_: Uri| {
        let sender = sender.clone();
        async move {
            let (near, far) = tokio::io::duplex(64 * 1024);
            sender.send(far).await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(TokioIo::new(near))
        }
    });
    Endpoint::from_static("http://test").connect_with_connector_lazy(connector)
}

/// Serves `router` on TLS at a loopback port.
pub(crate) async fn listen(config: Arc<ServerConfig>, router: Router, tasks: &mut JoinSet<()>) -> SocketAddr {
    let sender = accept(router, tasks);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = TlsAcceptor::from(Arc::clone(&config)).accept(tcp).await else { continue };
            let (mut near, far) = tokio::io::duplex(64 * 1024);
            sender.send(far).await.unwrap();
            connections.spawn(async move { tokio::io::copy_bidirectional(&mut tls, &mut near).await });
        }
    });
    address
}

fn accept(router: Router, tasks: &mut JoinSet<()>) -> mpsc::Sender<DuplexStream> {
    let (sender, receiver) = mpsc::channel(4);
    let incoming = ReceiverStream::new(receiver).map(Ok::<_, std::io::Error>);
    tasks.spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
    sender
}

pub(crate) fn delivered(delivery: Delivery) -> Event {
    Event::Delivery(delivery.into())
}

pub(crate) fn told(outcome: SealedOutcome) -> Event {
    Event::Outcome(outcome)
}

#[tonic::async_trait]
impl Operators for Broker {
    type WatchRequestStream = Pin<Box<dyn Stream<Item = Result<WatchRequestEvent, Status>> + Send>>;

    async fn who_am_i(&self, _: Request<WhoAmIRequest>) -> Result<Response<WhoAmIReply>, Status> {
        Ok(Response::new(WhoAmIReply {
            operator: "dana".into(),
            broker_id: "b1".into(),
            suffix: "tunnel.example".into(),
        }))
    }

    async fn list_clusters(
        &self,
        _: Request<ListClustersRequest>,
    ) -> Result<Response<ListClustersReply>, Status> {
        if let Some(one) = &self.0.listed {
            let reply = ListClustersReply { clusters: vec![one.clone()], next_page_token: String::new() };
            return Ok(Response::new(reply));
        }
        // Pages without end: the client must stop by itself.
        let clusters = vec![Cluster::default(); 3_000];
        Ok(Response::new(ListClustersReply { clusters, next_page_token: "more".into() }))
    }

    async fn get_cluster(&self, _: Request<GetClusterRequest>) -> Result<Response<Cluster>, Status> {
        let listed = self.0.listed.clone();
        listed.map(Response::new).ok_or_else(|| Status::not_found("no such cluster"))
    }

    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<SubmitReply>, Status> {
        let sealed = request.into_inner().request.ok_or_else(|| Status::invalid_argument("empty"))?;
        let envelope_id = seal::envelope_id(&sealed).as_bytes().to_vec();
        let mut books = self.0.books.lock();
        books.submitted.push(envelope_id.clone());
        books.mailbox.insert(envelope_id.clone(), sealed);
        Ok(Response::new(SubmitReply { envelope_id, delivery: Delivery::Sent.into() }))
    }

    async fn watch_request(
        &self,
        request: Request<WatchRequestRequest>,
    ) -> Result<Response<Self::WatchRequestStream>, Status> {
        let (watch, sealed) = {
            let mut books = self.0.books.lock();
            books.watches += 1;
            let sealed = books.mailbox.get(&request.into_inner().envelope_id).cloned();
            (books.watches - 1, sealed.ok_or_else(|| Status::not_found("no such request"))?)
        };
        let events = |events: Vec<Event>| {
            stream::iter(events).map(|event| Ok(WatchRequestEvent { event: Some(event) }))
        };
        match (self.0.play)(watch, &sealed) {
            Script::ThenSilence(told) => Ok(Response::new(Box::pin(events(told).chain(stream::pending())))),
            Script::ThenEnd(told) => Ok(Response::new(Box::pin(events(told)))),
            Script::Refused(status) => Err(status),
            Script::Live(told) => {
                let told = told.map(|event| Ok(WatchRequestEvent { event: Some(event) }));
                Ok(Response::new(Box::pin(told.chain(stream::pending()))))
            }
        }
    }
}
