//! The whole broker: sockets are bound at build, served at start; it ends in two phases, both bounded.

use std::{net::SocketAddr, time::Duration};

use tunnel_runtime::ready::Readiness;

use crate::config::Config;

/// Why a broker cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {}

/// A broker that is bound and does not serve yet.
#[derive(Debug)]
pub struct Broker {}

/// A broker at work; dropping it ends it at once.
#[derive(Debug)]
pub struct Running {}

/// Where a broker is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// UDP.
    pub quic: SocketAddr,
    /// TCP.
    pub tcp: SocketAddr,
}

impl Broker {
    /// Reads identities and trust, opens the database and binds the sockets; call it inside a tokio runtime.
    pub async fn build(_config: Config) -> Result<Self, BuildError> {
        todo!()
    }

    /// Where it is bound.
    pub fn addresses(&self) -> Addresses {
        todo!()
    }

    /// Whether it is ready: for the admin port.
    pub fn readiness(&self) -> Readiness {
        todo!()
    }

    /// Starts to serve.
    pub fn start(self) -> Running {
        todo!()
    }
}

impl Running {
    /// Where it is bound.
    pub fn addresses(&self) -> Addresses {
        todo!()
    }

    /// Ends when the broker failed by itself; until then it waits.
    pub async fn failed(&mut self) {
        todo!()
    }

    /// Accepts nothing new, tells replicas, waits for sessions up to `grace`, then cuts; true if all ended in time.
    pub async fn drain(self, _grace: Duration) -> bool {
        todo!()
    }
}
