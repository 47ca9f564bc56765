//! The operators' API of a broker: gRPC over mutual TLS with the operator's identity. Every call has a deadline.
//!
//! What comes back is the broker's word; nothing of it is believed before it was verified elsewhere.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};
use tunnel_certs::{credential::Credential, tls};
use tunnel_protos::{
    ClusterName, EnvelopeId, UnixMillis,
    operators::{
        Cluster, Delivery, GetClusterRequest, ListClustersRequest, SubmitRequest, WatchRequestEvent,
        WatchRequestRequest, WhoAmIReply, WhoAmIRequest, operators_client::OperatorsClient,
        watch_request_event,
    },
    v1::{SealedOutcome, SealedRequest},
};

use crate::context::ApiAddress;

mod admin;
mod error;
mod roots;

pub use self::{
    admin::Administration,
    error::{CallError, SetupError},
};

/// A client of the operators' API; connects when first used, and again after the broker restarted.
#[derive(Debug, Clone)]
pub struct Api {
    client: OperatorsClient<Channel>,
    administration: Administration,
}

/// What the broker tells of a request.
#[derive(Debug)]
pub enum Told {
    /// Where the request is.
    Delivery(Delivery),
    /// A sealed answer.
    Outcome(SealedOutcome),
}

/// What the broker tells of a request, those things first that it held already.
pub type Watch = Pin<Box<dyn Stream<Item = Result<Told, CallError>> + Send>>;

impl Api {
    /// Prepares the way to `address` as the operator of `credential`.
    pub fn new(address: &ApiAddress, credential: &Credential) -> Result<Self, SetupError> {
        let roots = roots::load(address.ca.as_deref())?;
        let tls = tls::operator_client(credential, &roots, &[b"h2"]).map_err(SetupError::Tls)?;
        let name =
            ServerName::try_from(address.name.clone()).map_err(|_| SetupError::Name(address.name.clone()))?;
        let origin = Uri::try_from(format!("https://{}", address.name))
            .map_err(|_| SetupError::Name(address.name.clone()))?;
        let dial = Dial { address: address.address.clone(), name, tls: TlsConnector::from(tls) };
        let connector = tower::service_fn(move |_: Uri| {
            let dial = dial.clone();
            async move { dial.connect().await.map(TokioIo::new) }
        });
        Ok(Self::over(endpoint(origin).connect_with_connector_lazy(connector)))
    }

    /// Speaks over a channel.
    pub(crate) fn over(channel: Channel) -> Self {
        let administration = Administration::new(channel.clone());
        Self { client: OperatorsClient::new(channel), administration }
    }

    /// The same broker's API for administrators.
    pub fn administration(&self) -> &Administration {
        &self.administration
    }

    /// Who the broker thinks we are.
    pub async fn who_am_i(&self) -> Result<WhoAmIReply, CallError> {
        let mut client = self.client.clone();
        within("WhoAmI", client.who_am_i(WhoAmIRequest {})).await
    }

    /// Who the broker thinks we are, and what time it says it is.
    pub async fn who_am_i_at(&self) -> Result<(WhoAmIReply, Option<UnixMillis>), CallError> {
        let mut client = self.client.clone();
        let reply = answered("WhoAmI", client.who_am_i(WhoAmIRequest {})).await?;
        let date = reply.metadata().get("date").and_then(|date| date.to_str().ok());
        let time = date.and_then(|date| httpdate::parse_http_date(date).ok()).map(UnixMillis::from_system);
        Ok((reply.into_inner(), time))
    }

    /// Every cluster that the broker shows us, at most [`MOST_CLUSTERS`].
    pub async fn clusters(&self) -> Result<Vec<Cluster>, CallError> {
        paged(MOST_CLUSTERS, |page_token| async {
            let mut client = self.client.clone();
            let page = ListClustersRequest { page_size: 0, page_token };
            let reply = within("ListClusters", client.list_clusters(page)).await?;
            Ok((reply.clusters, reply.next_page_token))
        })
        .await
    }

    /// One cluster with its inventory entry.
    pub async fn cluster(&self, name: &ClusterName) -> Result<Cluster, CallError> {
        let mut client = self.client.clone();
        let request = GetClusterRequest { cluster: name.to_string() };
        within("GetCluster", client.get_cluster(request)).await
    }

    /// Puts a sealed request into the cluster's mailbox; the same one again changes nothing.
    pub async fn submit(&self, request: SealedRequest) -> Result<Delivery, CallError> {
        let mut client = self.client.clone();
        let request = SubmitRequest { request: Some(request) };
        Ok(within("Submit", client.submit(request)).await?.delivery())
    }

    /// Follows a request; the stream is endless, so waiting for its next item needs a deadline of its own.
    pub async fn watch(&self, id: &EnvelopeId) -> Result<Watch, CallError> {
        let mut client = self.client.clone();
        let request = WatchRequestRequest { envelope_id: id.as_bytes().to_vec() };
        let events = within("WatchRequest", client.watch_request(request)).await?;
        Ok(Box::pin(events.filter_map(|event| std::future::ready(told(event)))))
    }
}

/// Events of a kind that this build does not know are passed over.
fn told(event: Result<WatchRequestEvent, Status>) -> Option<Result<Told, CallError>> {
    match event.map_err(|status| CallError::status("WatchRequest", &status)).map(|event| event.event) {
        Err(error) => Some(Err(error)),
        Ok(Some(watch_request_event::Event::Outcome(outcome))) => Some(Ok(Told::Outcome(outcome))),
        Ok(Some(watch_request_event::Event::Delivery(delivery))) => {
            Delivery::try_from(delivery).ok().map(|delivery| Ok(Told::Delivery(delivery)))
        }
        Ok(None) => None,
    }
}

/// Page after page, at most `most` items; a page without items is the last one, whatever the broker says of another.
async fn paged<T, F: Future<Output = Result<(Vec<T>, String), CallError>>>(
    most: usize,
    mut fetch: impl FnMut(String) -> F,
) -> Result<Vec<T>, CallError> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let (page, next) = fetch(page_token).await?;
        let is_last = page.is_empty() || next.is_empty();
        all.extend(page);
        if is_last || all.len() >= most {
            all.truncate(most);
            return Ok(all);
        }
        page_token = next;
    }
}

async fn within<T>(
    call: &'static str,
    reply: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, CallError> {
    answered(call, reply).await.map(tonic::Response::into_inner)
}

async fn answered<T>(
    call: &'static str,
    reply: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<tonic::Response<T>, CallError> {
    match timeout(CALL_DEADLINE, reply).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(status)) => Err(CallError::status(call, &status)),
        Err(_) => Err(CallError::Deadline(call)),
    }
}

/// The URI's scheme is http for tonic alone: the connector brings its own TLS.
fn endpoint(origin: Uri) -> Endpoint {
    Endpoint::from_static("http://operators")
        .origin(origin)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
}

/// Where and how to connect.
#[derive(Clone)]
struct Dial {
    address: String,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Dial {
    async fn connect(self) -> std::io::Result<TlsStream<TcpStream>> {
        let connect = async {
            let tcp = TcpStream::connect(&self.address).await?;
            tcp.set_nodelay(true)?;
            self.tls.connect(self.name, tcp).await
        };
        timeout(CONNECT_DEADLINE, connect).await.map_err(|_| std::io::ErrorKind::TimedOut)?
    }
}

/// Longer than any healthy broker takes, shorter than a person's patience.
const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// TCP and TLS together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Finds a broker that vanished without a word within 20 s, so that the watch can reconnect.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A broker that pages forever must not fill the memory.
pub const MOST_CLUSTERS: usize = 10_000;
