//! Sources of connections, TCP and Unix alike.

use std::{future::Future, io};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A listener of any kind.
pub(super) trait Listen: Send + 'static {
    type Stream: Send + 'static;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Small requests and answers would wait for each other's acknowledgement.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}
