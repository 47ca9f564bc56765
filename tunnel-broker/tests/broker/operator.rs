//! An operator: TLS to whatever name, the API as generated, and raw connections that begin with a real hello.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hyper_util::rt::TokioIo;
use rustls::{ClientConnection, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use tunnel_certs::{credential::Credential, tls};
use tunnel_protos::{
    Door, DoorName,
    operators::{administration_client::AdministrationClient, operators_client::OperatorsClient},
};

use crate::{World, in_time, vendor::label};

/// The API as `credential` sees it.
pub(crate) fn api(world: &World, credential: &Credential) -> OperatorsClient<Channel> {
    OperatorsClient::new(channel(world, credential, &Arc::default()))
}

/// The API, with a count of the connections that were made for it.
pub(crate) fn counted_api(
    world: &World,
    credential: &Credential,
) -> (OperatorsClient<Channel>, Arc<AtomicUsize>) {
    let connections = Arc::default();
    (OperatorsClient::new(channel(world, credential, &connections)), connections)
}

/// What administrators call.
pub(crate) fn admin(world: &World, credential: &Credential) -> AdministrationClient<Channel> {
    AdministrationClient::new(channel(world, credential, &Arc::default()))
}

fn channel(world: &World, credential: &Credential, connections: &Arc<AtomicUsize>) -> Channel {
    let (address, config) = (world.addresses.tcp, config(world, credential));
    let connections = Arc::clone(connections);
    let connect = move |_| {
        connections.fetch_add(1, Ordering::Relaxed);
        let connector = TlsConnector::from(Arc::clone(&config));
        async move {
            let tcp = TcpStream::connect(address).await?;
            let name = ServerName::try_from("api.tunnel.example").map_err(std::io::Error::other)?;
            connector.connect(name, tcp).await.map(TokioIo::new)
        }
    };
    let endpoint = Endpoint::from_static("https://api.tunnel.example");
    endpoint.connect_with_connector_lazy(service_fn(connect))
}

/// A TLS handshake with the API that is complete on both sides, or the first error.
pub(crate) async fn handshake(
    world: &World,
    credential: &Credential,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(world.addresses.tcp).await?;
    let name = ServerName::try_from("api.tunnel.example").map_err(std::io::Error::other)?;
    let mut stream = TlsConnector::from(config(world, credential)).connect(name, tcp).await?;
    // In TLS 1.3 a refused client certificate shows at the first read; HTTP/2 servers speak at once.
    let mut first = [0; 1];
    in_time("first byte", stream.read_exact(&mut first)).await?;
    Ok(stream)
}

/// A TCP connection that has sent a real hello for `host`, and that hello.
pub(crate) async fn knock(world: &World, host: &str) -> (TcpStream, Vec<u8>) {
    let hello = hello(world, host);
    let mut stream = TcpStream::connect(world.addresses.tcp).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    (stream, hello)
}

/// What rustls sends first to `host`.
pub(crate) fn hello(world: &World, host: &str) -> Vec<u8> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let config = config(world, &world.vendor.operator("alice"));
    let mut connection = ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

pub(crate) fn host(c: char, door: Door) -> String {
    DoorName { door, label: label(c) }.host(&"tunnel.example".parse().unwrap())
}

/// Everything that the broker says until it closes.
pub(crate) async fn all(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    in_time("end", stream.read_to_end(&mut said)).await.unwrap();
    said
}

fn config(world: &World, credential: &Credential) -> Arc<rustls::ClientConfig> {
    let root = world.vendor.api.certificate().clone();
    tls::operator_client(credential, &[root], &[b"h2"]).unwrap()
}
