//! Ends the operator's TLS: whatever is not exactly ours gets an alert, whatever is ours but over gets in to be told so.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tunnel_certs::{
    tls::{GateTls, TlsError},
    verify::{GrantCertificate, VerifyError},
};
use tunnel_protos::{Door, UnixMillis};

use super::{
    admission::{self, Admitted, Mismatch},
    grants::GrantsView,
};

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// Not within the deadline.
    #[error("the handshake took too long")]
    Deadline,
    /// No such door.
    #[error("no such door")]
    UnknownDoor,
    /// Too many others began one after it.
    #[error("newer handshakes took its place")]
    PushedOut,
    /// TLS failed; the peer got an alert if it was there to get one.
    #[error("the TLS handshake")]
    Tls(#[source] io::Error),
    /// Our own configuration cannot be used.
    #[error("the gate's TLS configuration")]
    Config(#[source] TlsError),
    /// Not HTTP/2.
    #[error("the operator did not offer ALPN h2")]
    NotHttp2,
    /// The certificate, looked at once more.
    #[error("the certificate")]
    Certificate(#[source] VerifyError),
    /// The names do not lead to one grant.
    #[error("the certificate and the door")]
    Mismatch(#[source] Mismatch),
}

/// One handshake at one door.
pub(super) struct Handshake {
    pub(super) tls: Arc<GateTls>,
    pub(super) grants: GrantsView,
    pub(super) door: Door,
    pub(super) now: UnixMillis,
}

impl Handshake {
    /// Ends TLS on `stream` within `deadline`.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
        deadline: Duration,
    ) -> Result<(TlsStream<S>, Admitted), HandshakeError> {
        if self.grants.door(&self.door).is_none() {
            return Err(HandshakeError::UnknownDoor);
        }
        timeout(deadline, self.accept(stream)).await.unwrap_or(Err(HandshakeError::Deadline))
    }

    async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
    ) -> Result<(TlsStream<S>, Admitted), HandshakeError> {
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        let start = acceptor.await.map_err(HandshakeError::Tls)?;
        let named = admission::server_name(start.client_hello().server_name(), &self.door);
        let (grants, door) = (self.grants.clone(), self.door);
        // Within the handshake, so that a refusal is an alert.
        let known = move |certificate: &GrantCertificate| {
            named.is_ok() && admission::admit(certificate.clone(), &door, &grants).is_ok()
        };
        let config = self.tls.server_config(self.now, Arc::new(known)).map_err(HandshakeError::Config)?;
        let stream = match start.into_stream(config).into_fallible().await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                linger(stream).await;
                return Err(HandshakeError::Tls(error));
            }
        };
        let admitted = self.admit(&stream)?;
        Ok((stream, admitted))
    }

    /// Reads the peer's certificate after the handshake: only now has the peer proven its key.
    fn admit<S>(&self, stream: &TlsStream<S>) -> Result<Admitted, HandshakeError> {
        let connection = stream.get_ref().1;
        if connection.alpn_protocol() != Some(b"h2") {
            return Err(HandshakeError::NotHttp2);
        }
        let chain = connection.peer_certificates().unwrap_or_default();
        let certificate = self.tls.verifier().verify(chain, self.now).map_err(HandshakeError::Certificate)?;
        admission::admit(certificate, &self.door, &self.grants).map_err(HandshakeError::Mismatch)
    }
}

/// Ends a refused stream orderly: dropping it would reset it, and the alert would be lost on its way.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let goodbye = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER), &mut tokio::io::sink()).await
    };
    // Whether the peer still listens is its own business.
    let _ = timeout(GOODBYE, goodbye).await;
}

/// A client closes as soon as it has read the alert.
const GOODBYE: Duration = Duration::from_secs(2);
/// More than a client sends before it has read an answer.
const LINGER: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
