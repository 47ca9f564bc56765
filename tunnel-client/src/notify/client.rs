//! One attempt: one connection, one POST, one status; no redirect is followed and no answer's body is read.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tracing::{info, warn};
use tunnel_certs::{
    credential::{CredentialError, certificates_from_pem},
    crypto,
    file::{self, FileError},
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::chain;

use super::{
    endpoint::{Endpoint, Transport},
    secret::{self, Secret, SecretError},
};
use crate::{
    config::{WebhookConfig, WebhookFormat, WebhookHeader},
    mark::{Mark, mark},
    metrics,
};

/// Why the receiver cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The CA file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is in it.
    #[error("the CA certificates in {0}")]
    Certificates(PathBuf, #[source] CredentialError),
    /// Nothing to trust.
    #[error("this machine has no CA certificates; name a `webhook.caFile`")]
    NoRoots,
    /// rustls refused.
    #[error("TLS")]
    Tls(#[source] rustls::Error),
}

/// Why one attempt failed; nothing that a receiver wrote is in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("TLS")]
    Tls(#[source] io::Error),
    #[error("HTTP")]
    Http(#[source] hyper::Error),
    #[error("the receiver redirects ({0}), which is not followed; configure where it really is")]
    Redirect(u16),
    #[error("the receiver answered {0}")]
    Status(u16),
    #[error("not a request that can be sent")]
    Request(#[source] http::Error),
}

#[derive(Debug)]
pub(super) struct Client {
    endpoint: Endpoint,
    secret: Secret,
    secret_file: PathBuf,
    /// The secret's file when it was read last.
    seen: Mark,
    /// A look at the file that is under way; a mount that hangs holds up no more than one thread for blocking work.
    looking: Option<JoinHandle<Look>>,
    headers: Vec<WebhookHeader>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// For name, connection, handshake and answer together; a receiver that drips gets no more of it.
    pub(super) patience: Duration,
}

impl Client {
    /// `secret` is what the file held that looked like `seen`.
    pub(super) fn new(config: &WebhookConfig, secret: Secret, seen: Mark) -> Result<Self, SetupError> {
        let endpoint = config.url.clone();
        let tls = match endpoint.transport {
            Transport::Plain => None,
            Transport::Tls => {
                let name = ServerName::try_from(endpoint.host.clone());
                let name = name.map_err(|_| SetupError::Tls(rustls::Error::General("host name".into())))?;
                Some((Arc::new(tls(roots(config)?)?), name))
            }
        };
        let (secret_file, headers) = (config.secret_file.clone(), config.headers.clone());
        Ok(Self { endpoint, secret, secret_file, seen, looking: None, headers, tls, patience: ATTEMPT })
    }

    /// Takes the secret's file if it was replaced; a broken one, or one that is away, leaves the secret as it is.
    pub(super) async fn refresh(&mut self) {
        let (path, seen) = (self.secret_file.clone(), self.seen);
        let look = self.looking.get_or_insert_with(|| spawn_blocking(move || look(&path, seen)));
        let Ok(looked) = timeout(LOOK, look).await else { return };
        self.looking = None;
        let Ok((now, read)) = looked else { return };
        self.seen = now;
        match read {
            None => {}
            Some(Ok(next)) => {
                self.secret = next;
                metrics::webhook_secret_stale(false);
                info!("Webhook's secret replaced");
            }
            Some(Err(error)) => {
                metrics::webhook_secret_stale(true);
                warn!(error = %chain(&error), "Webhook's secret not taken, the one before it stays");
            }
        }
    }

    /// Delivers `body` under `id`, or says why not.
    pub(super) async fn send(
        &self,
        id: &str,
        body: Bytes,
        format: WebhookFormat,
        now: UnixMillis,
    ) -> Result<(), SendError> {
        let request = self.request(id, body, format, now).map_err(SendError::Request)?;
        let attempt = timeout(self.patience, self.attempt(request)).await;
        attempt.unwrap_or(Err(SendError::Late(self.patience)))
    }

    async fn attempt(&self, request: Request<Full<Bytes>>) -> Result<(), SendError> {
        let address = (self.endpoint.host.as_str(), self.endpoint.port);
        let stream = TcpStream::connect(address).await.map_err(SendError::Connect)?;
        let status = match &self.tls {
            None => exchange(stream, request).await?,
            Some((config, name)) => {
                let connected = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await;
                exchange(connected.map_err(SendError::Tls)?, request).await?
            }
        };
        match status {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => Err(SendError::Redirect(status.as_u16())),
            status => Err(SendError::Status(status.as_u16())),
        }
    }

    fn request(
        &self,
        id: &str,
        body: Bytes,
        format: WebhookFormat,
        now: UnixMillis,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let kind = match format {
            WebhookFormat::CloudEvents => "application/cloudevents+json; charset=utf-8",
            WebhookFormat::Slack => "application/json; charset=utf-8",
        };
        let mut request = Request::post(&self.endpoint.path)
            .header(header::HOST, &self.endpoint.authority)
            .header(header::CONTENT_TYPE, kind)
            .header(header::USER_AGENT, concat!("tunnel-client/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", now.seconds())
            .header("webhook-signature", self.secret.sign(id, now, &body));
        for WebhookHeader(name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body))
    }
}

/// Sends the request and takes the status; the rest of the answer is dropped with the connection.
async fn exchange<I>(stream: I, request: Request<Full<Bytes>>) -> Result<StatusCode, SendError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LARGEST_HEAD).max_headers(MOST_HEADERS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(SendError::Http)?;
    let answered = async { sender.send_request(request).await.map(|answer| answer.status()) };
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        status = &mut answered => status,
        // The answer may have come with the end.
        _ = connection => answered.await,
    }
    .map_err(SendError::Http)
}

fn tls(roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, SetupError> {
    let mut store = RootCertStore::empty();
    let (taken, _) = store.add_parsable_certificates(roots);
    if taken == 0 {
        return Err(SetupError::NoRoots);
    }
    let builder = ClientConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(SetupError::Tls)?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(config: &WebhookConfig) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let Some(path) = &config.ca_file else { return Ok(rustls_native_certs::load_native_certs().certs) };
    let pem = file::read(path)?;
    certificates_from_pem(&pem).map_err(|error| SetupError::Certificates(path.clone(), error))
}

/// What a file of secrets is now, and what is in it if it was replaced.
type Look = (Mark, Option<Result<Secret, SecretError>>);

fn look(path: &Path, seen: Mark) -> Look {
    let now = mark(path);
    (now, (now != seen && now.is_some()).then(|| secret::read(path)))
}

/// Longer than any receiver takes that works.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Files are read in moments; the next message looks again.
const LOOK: Duration = Duration::from_secs(5);
/// A receiver has nothing to say that is longer.
const LARGEST_HEAD: usize = 16 * 1024;
/// As above.
const MOST_HEADERS: usize = 64;
