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

/// Whether a call ended before anything of it was sent: its connection went away while it waited in the library's own
/// queue, and came back from there. Libraries of gRPC begin such a call anew by themselves; tonic leaves it to its caller.
pub fn never_sent(status: &Status) -> bool {
    let causes = std::iter::successors(status.source(), |error| (**error).source());
    causes.filter_map(|error| error.downcast_ref::<hyper::Error>()).any(hyper::Error::is_canceled)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use hyper::client::conn::http2;
    use hyper_util::rt::TokioExecutor;
    use tonic::body::Body;

    use super::*;

    /// What the gate does to a session whose tunnel is replaced: GOAWAY, and what was begun before is served.
    async fn server(stream: tokio::io::DuplexStream) {
        let mut connection: h2::server::Connection<_, Bytes> = h2::server::handshake(stream).await.unwrap();
        connection.graceful_shutdown();
        while let Some(Ok(_)) = connection.accept().await {
            panic!("the call was sent");
        }
    }

    #[tokio::test]
    async fn a_call_that_waited_in_the_librarys_queue_when_goaway_came_was_never_sent() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (mut sender, connection) =
            http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(near)).await.unwrap();
        sender.ready().await.unwrap();
        let call = sender.send_request(Request::new(Body::empty()));
        // The part that reads frames runs in a task of its own; the one that takes calls from the queue comes late.
        server(far).await;
        connection.await.unwrap();
        let error = call.await.unwrap_err();
        assert!(never_sent(&Status::from_error(Box::new(error))));
    }

    #[test]
    fn an_answer_is_none_of_these() {
        assert!(!never_sent(&Status::cancelled("by the server")));
    }
}
