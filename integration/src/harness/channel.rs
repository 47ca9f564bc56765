//! gRPC channels over TLS to an explicit address, with whatever server name is wanted.

use std::{error::Error, net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

/// Where and how to connect.
#[derive(Clone)]
pub struct Peer {
    /// The address dialed.
    pub address: SocketAddr,
    /// The name in SNI and in the server's certificate.
    pub name: ServerName<'static>,
    /// Own certificate and trust.
    pub tls: Arc<rustls::ClientConfig>,
}

impl Peer {
    /// One TLS connection.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await.context("connect")?;
        tcp.set_nodelay(true)?;
        TlsConnector::from(Arc::clone(&self.tls))
            .connect(self.name.clone(), tcp)
            .await
            .context("TLS handshake")
    }

    /// A channel that reconnects by itself.
    pub fn channel(&self) -> Channel {
        let peer = self.clone();
        let connect = move |_| {
            let peer = peer.clone();
            async move { peer.connect().await.map(TokioIo::new).map_err(std::io::Error::other) }
        };
        self.endpoint().connect_with_connector_lazy(service_fn(connect))
    }

    fn endpoint(&self) -> Endpoint {
        let uri = format!("https://{}", self.name.to_str());
        Endpoint::from_shared(uri).expect("a server name is an authority").connect_timeout(super::PATIENCE)
    }
}

/// Whether the server did nothing about a call that failed: its connection went away while it waited in the library's own
/// queue, or the server named an earlier stream as the last that it took (RFC 9113, 6.8). Libraries of gRPC begin such a
/// call anew by themselves; tonic leaves it to its caller.
pub fn never_begun(status: &Status) -> bool {
    let mut causes = std::iter::successors(status.source(), |error| (**error).source());
    causes.any(|error| {
        error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
            || error.downcast_ref::<h2::Error>().is_some_and(was_left_out)
    })
}

/// Streams that a GOAWAY does not leave out go on, and never fail by it.
fn was_left_out(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use hyper::client::conn::http2;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tonic::body::Body;

    use super::*;

    const HEADERS: u8 = 1;

    /// What the gate does to a session whose tunnel is replaced: GOAWAY, and what was begun before is served.
    async fn server(stream: tokio::io::DuplexStream) {
        let mut connection: h2::server::Connection<_, Bytes> = h2::server::handshake(stream).await.unwrap();
        connection.graceful_shutdown();
        // The caller may be gone before the last word.
        let accepted = connection.accept().await;
        assert!(!matches!(accepted, Some(Ok(_))), "the call was sent");
    }

    #[tokio::test]
    async fn a_call_that_waited_in_the_librarys_queue_when_goaway_came_was_never_begun() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (mut sender, connection) =
            http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(near)).await.unwrap();
        sender.ready().await.unwrap();
        let call = sender.send_request(Request::new(Body::empty()));
        // The part that reads frames runs in a task of its own; the one that takes calls from the queue comes late.
        server(far).await;
        connection.await.unwrap();
        let error = call.await.unwrap_err();
        let told = format!("{error:?}");
        assert!(never_begun(&Status::from_error(Box::new(error))), "{told}");
    }

    /// Takes a call's first frame and says that it took none.
    async fn deaf(mut stream: tokio::io::DuplexStream) {
        let (mut head, mut preface) = ([0; 9], [0; 24]);
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        stream.read_exact(&mut preface).await.unwrap();
        while head[3] != HEADERS {
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
        }
        let last_stream_and_reason = [0; 8];
        stream
            .write_all(&[&[0, 0, 8, 7, 0, 0, 0, 0, 0], &last_stream_and_reason[..]].concat())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_call_that_goaway_leaves_out_was_never_begun() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (mut sender, connection) =
            http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(near)).await.unwrap();
        let call = sender.send_request(Request::new(Body::empty()));
        let (ended, _, ()) = tokio::join!(call, connection, deaf(far));
        let error = ended.unwrap_err();
        assert!(!error.is_canceled() && never_begun(&Status::from_error(Box::new(error))));
    }

    #[test]
    fn an_answer_is_none_of_these() {
        assert!(!never_begun(&Status::cancelled("by the server")));
    }
}
