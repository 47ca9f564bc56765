//! Both ends over real QUIC on loopback, with certificates made at run time.

mod control;
mod handshakes;
mod hostile;
mod mesh;
mod streams;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tunnel_certs::{credential::Credential, identity::Role};
use tunnel_protos::Door;

use self::mesh::Mesh;
use super::*;
use crate::{Code, Header, Kind, Limits, Stream, Tunnel};

/// Nothing on loopback takes so long; a test that waits for it has failed.
const LONG: Duration = Duration::from_secs(10);
/// For deadlines that a test wants to see pass.
const SHORT: Duration = Duration::from_millis(100);

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn server_tls(mesh: &Mesh, credential: &Credential) -> ServerTls {
    ServerTls { config: mesh.server(credential), verifier: mesh.verifier(), peer: Role::Replica }
}

fn client_tls(mesh: &Mesh, credential: &Credential) -> ClientTls {
    ClientTls { config: mesh.client(credential), verifier: mesh.verifier() }
}

fn listener(mesh: &Mesh, limits: Limits, admission: Admission) -> Listener {
    let tls = server_tls(mesh, &mesh.broker());
    Listener::bind(LOOPBACK, tls, &ResetKey::new([7; 32]), limits, admission).unwrap()
}

fn to(address: SocketAddr, mesh: &Mesh, limits: Limits) -> Dial {
    let tls = client_tls(mesh, &mesh.replica());
    Dial { address, server_name: "broker.tunnel.example".into(), tls, limits, deadline: LONG }
}

fn session() -> Header {
    Header::new(Kind::Session { door: Door::from_random([3; 17]) })
}

/// Both ends of one tunnel.
struct Pair {
    broker: Tunnel,
    replica: Tunnel,
    listener: Listener,
}

impl Pair {
    async fn with(limits: Limits) -> Self {
        let mesh = Mesh::new();
        let listener = listener(&mesh, limits, Admission::default());
        let to = to(listener.local_addr().unwrap(), &mesh, limits);
        let accepted = async { listener.accept().await.unwrap().finish(LONG).await.unwrap() };
        let (broker, replica) = tokio::join!(accepted, dial(&to));
        Self { broker, replica: replica.unwrap(), listener }
    }

    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    /// Both ends of one accepted stream, the broker's first.
    async fn stream(&self) -> (Stream, Stream) {
        let header = session();
        let accepted = async {
            let offer = self.replica.accept().await.unwrap().header(LONG).await.unwrap();
            offer.accept(LONG).await.unwrap()
        };
        let (opened, accepted) = tokio::join!(self.broker.open(&header, LONG), accepted);
        (opened.unwrap(), accepted)
    }
}
