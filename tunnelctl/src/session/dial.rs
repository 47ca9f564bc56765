//! End-to-end TLS to a door: dial, prove that the gate answers, or speak gRPC over it.

use std::{io, time::Duration};

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};
use tunnel_certs::{
    credential::Credential,
    roots::Roots,
    tls::{self, TlsError},
};

/// Why a door does not answer.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Certificate or anchors cannot be used in TLS.
    #[error("cannot prepare TLS")]
    Tls(#[source] TlsError),
    /// No DNS name.
    #[error("{0:?} is not a host name")]
    Name(String),
    /// No TLS with the gate.
    #[error("no end-to-end connection to {host} (by {address})")]
    Connect {
        /// The door.
        host: String,
        /// Where it was looked for.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// TLS stands, but the gate does not speak HTTP/2.
    #[error("the gate at {host} does not answer")]
    Silent {
        /// The door.
        host: String,
        /// Why.
        source: h2::Error,
    },
    /// Too slow.
    #[error("the gate at {0} did not answer in time")]
    Deadline(String),
}

/// All that is needed to connect to one door.
#[derive(Debug, Clone)]
pub struct Line {
    /// The door's host name: SNI, and the name in the gate's certificate.
    pub host: String,
    /// Where to connect, `host:port`.
    pub address: String,
    /// The grant certificate and its key.
    pub credential: Credential,
    /// The gate's anchors.
    pub anchors: Roots,
}

impl Line {
    /// Completes one handshake through all of TLS and HTTP/2, retrying for 5 s: a door may be announced a moment
    /// after its certificate arrives.
    pub async fn prove(&self) -> Result<(), DialError> {
        let deadline = Instant::now() + PROOF_TIME;
        loop {
            let error = match timeout_at(deadline, self.ping()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => return Err(DialError::Deadline(self.host.clone())),
            };
            if Instant::now() + PROOF_PAUSE >= deadline {
                return Err(error);
            }
            sleep(PROOF_PAUSE).await;
        }
    }

    /// A gRPC channel to the door; connects when first used, and again when the gate or broker restarted.
    pub fn channel(&self) -> Result<Channel, DialError> {
        let name = |_| DialError::Name(self.host.clone());
        let origin = Uri::try_from(format!("https://{}", self.host)).map_err(name)?;
        let (dial, this) = (self.connector()?, self.clone());
        let connector = tower::service_fn(move |_: Uri| {
            let (dial, this) = (dial.clone(), this.clone());
            async move { this.connect(&dial).await.map(TokioIo::new) }
        });
        // The URI's scheme is http for tonic alone: the connector brings its own TLS.
        let endpoint = Endpoint::from_static("http://door").origin(origin);
        let endpoint = endpoint
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Ok(endpoint.connect_with_connector_lazy(connector))
    }

    /// In TLS 1.3 the client is done before the server has looked at its certificate, so only an answer proves.
    async fn ping(&self) -> Result<(), DialError> {
        let silent = |source| DialError::Silent { host: self.host.clone(), source };
        let tls = self.connect(&self.connector()?).await.map_err(|source| self.failed(source))?;
        let (_requests, mut connection) = h2::client::handshake(tls).await.map_err(silent)?;
        let mut pings = connection.ping_pong().expect("taken once from a new connection");
        tokio::select! {
            pong = pings.ping(h2::Ping::opaque()) => pong.map(drop).map_err(silent),
            closed = connection => Err(closed.map_or_else(silent, |()| self.failed(io::ErrorKind::UnexpectedEof.into()))),
        }
    }

    /// The TLS of every connection by this line.
    pub fn connector(&self) -> Result<TlsConnector, DialError> {
        let config = tls::grant_client(&self.credential, &self.anchors, &[b"h2"]).map_err(DialError::Tls)?;
        Ok(TlsConnector::from(config))
    }

    /// A new connection, end to end; TLS 1.3 is done here before the gate has looked at the certificate.
    pub async fn connect(&self, tls: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let connect = async {
            let tcp = TcpStream::connect(&self.address).await?;
            tcp.set_nodelay(true)?;
            tls.connect(name, tcp).await
        };
        timeout(CONNECT_DEADLINE, connect).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// What a failed connection is told as.
    pub fn failed(&self, source: io::Error) -> DialError {
        DialError::Connect { host: self.host.clone(), address: self.address.clone(), source }
    }
}

/// The design's time for a new door to be known everywhere.
const PROOF_TIME: Duration = Duration::from_secs(5);
const PROOF_PAUSE: Duration = Duration::from_millis(100);
/// TCP and TLS together, through broker and tunnel.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// While a call is open: the gate's answer proves that bytes still pass, which whoever only carries them cannot feign.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Snapshots and dumps pass here; 64 KiB would cost a round trip each.
const WINDOW: u32 = 4 << 20;
