//! A broker that was taken over, in front of a real one: it has a mesh certificate, so clients enroll through it, and it
//! hands on whatever it likes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use bytes::BytesMut;
use prost::Message;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::Span;
use tunnel_certs::{credential::Credential, roots::Roots, tls, verify::MeshVerifier};
use tunnel_integration::harness::vendor::Vendor;
use tunnel_protos::v1::{
    EnrollReply, EnrollRequest, enroll_reply::Body as Reply, enroll_request::Body as Ask,
};
use tunnel_runtime::tasks::{Task, Tasks};
use tunnel_transport::frame;

/// The man in the middle.
pub(super) struct Middle {
    pub(super) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _serving: Task<()>,
}

/// What it makes of an ask, and of the answer to it: none of it, or some of them, one after the other.
pub(super) struct Twist {
    pub(super) ask: Box<dyn Fn(Ask) -> Ask + Send + Sync>,
    pub(super) reply: Box<dyn Fn(usize, Reply) -> Vec<Reply> + Send + Sync>,
}

impl Default for Twist {
    /// Hands all on as it is.
    fn default() -> Self {
        Self { ask: Box::new(|ask| ask), reply: Box::new(|_, reply| vec![reply]) }
    }
}

struct Evil {
    broker: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    twist: Twist,
    asked: Arc<AtomicUsize>,
}

impl Middle {
    pub(super) async fn before(vendor: &Vendor, broker: SocketAddr, twist: Twist) -> Self {
        let files = vendor.broker(&"evil".parse().unwrap()).unwrap();
        let credential = Credential::load(&files.certificate, &files.key).unwrap();
        let roots = Roots::new(vec![vendor.mesh().certificate().clone()]).unwrap();
        let verifier = MeshVerifier::new(vendor.name().clone(), roots);
        let asked = Arc::<AtomicUsize>::default();
        let evil = Evil {
            broker,
            acceptor: TlsAcceptor::from(tls::enroll_server(&credential).unwrap()),
            connector: TlsConnector::from(tls::enroll_client(verifier).unwrap()),
            twist,
            asked: asked.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, asked, _serving: Task::spawn(Span::none(), serve(listener, Arc::new(evil))) }
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, evil: Arc<Evil>) {
    let tasks = Tasks::new();
    while let Ok((client, _)) = listener.accept().await {
        let evil = evil.clone();
        tasks.spawn(Span::none(), async move {
            // However it ends, the client asks again.
            let _ = evil.pass(client).await;
        });
    }
}

impl Evil {
    async fn pass(&self, client: TcpStream) -> Result<()> {
        let mut client = self.acceptor.accept(client).await?;
        let name = ServerName::try_from("127.0.0.1")?;
        let mut broker = self.connector.connect(name, TcpStream::connect(self.broker).await?).await?;
        let (mut heard, mut said) = (BytesMut::new(), BytesMut::new());
        loop {
            let ask: EnrollRequest = next(&mut client, &mut heard).await?;
            let turn = self.asked.fetch_add(1, Ordering::SeqCst);
            let ask = ask.body.map(|ask| (self.twist.ask)(ask));
            broker.write_all(&frame::encode(&EnrollRequest { body: ask }, CAP)?).await?;
            let reply: EnrollReply = next(&mut broker, &mut said).await?;
            let Some(reply) = reply.body else { return Ok(()) };
            let replies = (self.twist.reply)(turn, reply);
            if replies.is_empty() {
                return Ok(());
            }
            for reply in replies {
                client.write_all(&frame::encode(&EnrollReply { body: Some(reply) }, CAP)?).await?;
            }
        }
    }
}

async fn next<M: Message + Default>(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<M> {
    loop {
        if let Some(frame) = frame::decode(buffer, CAP)? {
            return Ok(M::decode(frame)?);
        }
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "the other side is gone");
    }
}

const CAP: usize = 64 << 10;
