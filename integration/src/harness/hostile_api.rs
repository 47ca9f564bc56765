//! An operators' API that lies to `tunnelctl`: whatever texts a test wants, in every answer that has some.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc};

use anyhow::Result;
use futures_util::{Stream, stream};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, transport::Server};
use tunnel_protos::operators::{
    Cluster, GetClusterRequest, ListClustersReply, ListClustersRequest, SubmitReply, SubmitRequest,
    WatchRequestEvent, WatchRequestRequest, WhoAmIReply, WhoAmIRequest,
    operators_server::{Operators, OperatorsServer},
};

use super::vendor::Vendor;

/// What is answered to each call.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Who the caller is told to be.
    pub who: Result<WhoAmIReply, Status>,
    /// The one cluster that is listed.
    pub listed: Result<Cluster, Status>,
    /// The one cluster that is given.
    pub cluster: Result<Cluster, Status>,
    /// What becomes of a submitted request.
    pub submit: Result<SubmitReply, Status>,
    /// Why there is nothing to watch.
    pub watch: Status,
}

/// The API, listening; dropping it ends it.
#[derive(Debug)]
pub struct HostileApi {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl HostileApi {
    /// Listens on a free loopback port with the real API's certificate.
    pub async fn bind(vendor: &Vendor, answers: Answers) -> Result<Self> {
        let files = vendor.api()?;
        let chain = CertificateDer::pem_file_iter(&files.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&files.key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?.with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (sender, receiver) = mpsc::channel(4);
        let mut tasks = JoinSet::new();
        let router = Server::builder().add_service(OperatorsServer::new(Liar(answers)));
        tasks.spawn(async move {
            // Its end is the test's end.
            let _ = router.serve_with_incoming(ReceiverStream::new(receiver).map(Ok::<_, io::Error>)).await;
        });
        tasks.spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), sender));
        Ok(Self { address, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, sender: mpsc::Sender<DuplexStream>) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        connections.spawn(relay(tcp, tls.clone(), sender.clone()));
    }
}

/// Between the caller's TLS and the server, whatever becomes of either.
async fn relay(tcp: TcpStream, tls: TlsAcceptor, sender: mpsc::Sender<DuplexStream>) {
    let Ok(mut outside) = tls.accept(tcp).await else { return };
    let (mut inside, far) = tokio::io::duplex(64 << 10);
    if sender.send(far).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
    }
}

#[derive(Debug)]
struct Liar(Answers);

#[tonic::async_trait]
impl Operators for Liar {
    type WatchRequestStream = Pin<Box<dyn Stream<Item = Result<WatchRequestEvent, Status>> + Send>>;

    async fn who_am_i(&self, _: Request<WhoAmIRequest>) -> Result<Response<WhoAmIReply>, Status> {
        self.0.who.clone().map(Response::new)
    }

    async fn list_clusters(
        &self,
        _: Request<ListClustersRequest>,
    ) -> Result<Response<ListClustersReply>, Status> {
        let clusters = vec![self.0.listed.clone()?];
        Ok(Response::new(ListClustersReply { clusters, next_page_token: String::new() }))
    }

    async fn get_cluster(&self, _: Request<GetClusterRequest>) -> Result<Response<Cluster>, Status> {
        self.0.cluster.clone().map(Response::new)
    }

    async fn submit(&self, _: Request<SubmitRequest>) -> Result<Response<SubmitReply>, Status> {
        self.0.submit.clone().map(Response::new)
    }

    async fn watch_request(
        &self,
        _: Request<WatchRequestRequest>,
    ) -> Result<Response<Self::WatchRequestStream>, Status> {
        let refusal = self.0.watch.clone();
        Ok(Response::new(Box::pin(stream::iter([Err(refusal)]))))
    }
}
