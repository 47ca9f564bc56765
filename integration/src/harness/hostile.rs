//! A broker taken over: it holds a real mesh certificate, speaks the real transport, and does what a test wants.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use rustls_pki_types::ServerName;
use tokio::{sync::mpsc, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tracing::info_span;
use tunnel_certs::{credential::Credential, identity::Role, roots::Roots, seal, tls, verify::MeshVerifier};
use tunnel_protos::{
    Door,
    v1::{
        BrokerMessage, Hello, ReceivedStatus, ReplicaMessage, SealedOutcome, SealedRequest, Welcome,
        broker_message::Body as FromBroker, replica_message::Body as ToBroker,
    },
};
use tunnel_runtime::tasks::Task;
use tunnel_transport::{
    Header, Kind, Limits, Stream, Tunnel,
    control::{Control, ControlLimits, ControlSender},
    quic::{ALPN, Admission, Listener, ResetKey, ServerTls},
};

use super::{PATIENCE, vendor::Vendor};

/// The broker, listening.
pub struct HostileBroker {
    listener: Listener,
    /// How often it says that it will probe, which it never does.
    pub probe_interval_ms: u32,
}

/// A replica that attached to it.
pub struct Captive {
    /// The tunnel, to open any stream.
    pub tunnel: Tunnel,
    /// What it said first.
    pub hello: Hello,
    sender: ControlSender<BrokerMessage>,
    heard: mpsc::Receiver<ReplicaMessage>,
    /// Heard while something else was waited for.
    backlog: Vec<ToBroker>,
    _pump: Task<()>,
}

impl HostileBroker {
    /// Listens on a free loopback port with a certificate of `vendor`'s mesh CA.
    pub fn bind(vendor: &Vendor) -> Result<Self> {
        let files = vendor.broker(&"evil".parse()?)?;
        let credential = Credential::load(&files.certificate, &files.key)?;
        let roots = Roots::new(vec![vendor.mesh().certificate().clone()])?;
        let verifier = MeshVerifier::new(vendor.name().clone(), roots);
        let config = tls::mesh_server(&credential, verifier.clone(), Role::Replica, &[ALPN])?;
        let tls = ServerTls { config, verifier, peer: Role::Replica };
        let reset = ResetKey::new(tunnel_certs::crypto::random::<32>());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any, tls, &reset, Limits::default(), Admission::default())?;
        Ok(Self { listener, probe_interval_ms: 10_000 })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// The next replica that attaches.
    pub async fn attach(&self) -> Result<Captive> {
        timeout(PATIENCE, self.take()).await.context("no replica attached")?
    }

    async fn take(&self) -> Result<Captive> {
        let handshaking = self.listener.accept().await.context("the listener is closed")?;
        let tunnel = handshaking.finish(PATIENCE).await?;
        let stream = tunnel.open(&header(Kind::Control), PATIENCE).await?;
        let mut control: Control<BrokerMessage, ReplicaMessage> =
            Control::new(stream, ControlLimits::default());
        let hello = loop {
            if let Some(ToBroker::Hello(hello)) = control.next().await?.body {
                break hello;
            }
        };
        let (sender, (told, heard)) = (control.sender(), mpsc::channel(64));
        let pump = Task::spawn(info_span!("hostile"), pump(control, told));
        let captive = Captive { tunnel, hello, sender, heard, backlog: Vec::new(), _pump: pump };
        let welcome = Welcome {
            version: 1,
            broker_id: "evil".to_owned(),
            probe_interval_ms: self.probe_interval_ms,
            ..Default::default()
        };
        captive.send(FromBroker::Welcome(welcome))?;
        Ok(captive)
    }
}

/// Drives the control stream, which writes only while it is read.
async fn pump(mut control: Control<BrokerMessage, ReplicaMessage>, told: mpsc::Sender<ReplicaMessage>) {
    while let Ok(message) = control.next().await {
        control.sender().handled(message.id);
        if told.send(message).await.is_err() {
            return;
        }
    }
}

impl Captive {
    /// Sends any control message.
    pub fn send(&self, body: FromBroker) -> Result<()> {
        Ok(self.sender.send(&BrokerMessage { id: 0, body: Some(body) })?)
    }

    /// Delivers a sealed request, genuine or not, and waits for what became of it.
    pub async fn deliver(&mut self, sealed: SealedRequest) -> Result<ReceivedStatus> {
        let id = seal::envelope_id(&sealed);
        let message = BrokerMessage { id: 0, body: Some(FromBroker::Deliver(sealed)) };
        let _acknowledged = self.sender.keep(message)?;
        self.hear("what became of the request", |body| match body {
            ToBroker::Received(received) if received.envelope_id == id.as_bytes() => Some(received.status()),
            _ => None,
        })
        .await
    }

    /// The next outcome of any request.
    pub async fn outcome(&mut self) -> Result<SealedOutcome> {
        self.hear("an outcome", |body| match body {
            ToBroker::Outcome(outcome) => Some(outcome),
            _ => None,
        })
        .await
    }

    async fn hear<T>(&mut self, what: &str, wanted: impl Fn(ToBroker) -> Option<T>) -> Result<T> {
        let known = self.backlog.iter().position(|body| wanted(body.clone()).is_some());
        if let Some(found) = known.and_then(|at| wanted(self.backlog.remove(at))) {
            return Ok(found);
        }
        let wait = async {
            loop {
                let message = self.heard.recv().await.context("the tunnel is gone")?;
                let Some(body) = message.body else { continue };
                match wanted(body.clone()) {
                    Some(found) => return Ok(found),
                    None => self.backlog.push(body),
                }
            }
        };
        timeout(PATIENCE, wait).await.with_context(|| format!("did not hear {what}"))?
    }

    /// A session stream for `door`, as a broker opens it.
    pub async fn session(&self, door: Door) -> Result<Stream> {
        Ok(self.tunnel.open(&header(Kind::Session { door }), PATIENCE).await?)
    }

    /// A session for the header's `door` whose operator speaks TLS with another name.
    pub async fn tls(
        &self,
        door: Door,
        name: &str,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<TlsStream<Stream>> {
        let stream = self.session(door).await?;
        let name = ServerName::try_from(name.to_owned())?;
        Ok(timeout(PATIENCE, TlsConnector::from(config).connect(name, stream)).await??)
    }
}

const fn header(kind: Kind) -> Header {
    Header { kind, peer: None, trace: None }
}
