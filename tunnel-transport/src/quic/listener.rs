//! The broker's end: accepts packets in one place and finishes handshakes wherever the caller wants.
//!
//! Invariant: [`Listener::accept`] awaits nothing but packets; unfinished handshakes are counted and bounded.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use quinn::Endpoint;
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;
use tunnel_certs::{
    identity::Role,
    verify::{MeshVerifier, VerifiedPeer, VerifyError},
};
use tunnel_protos::UnixMillis;

use super::{
    ResetKey,
    config::{self, ConfigError, ServerTls},
    connection::{self, Connection},
    farewell::{self, Closing},
    runtime::Frugal,
    socket,
};
use crate::{Closed, Code, Limits, Tunnel, carrier::Carrier};

/// How many handshakes may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Above so many, an address must prove itself by a Retry first.
    pub retry_above: usize,
    /// Above so many, everyone is refused.
    pub refuse_above: usize,
}

/// Why the listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The TLS configuration cannot be used.
    #[error("the QUIC configuration")]
    Config(#[source] ConfigError),
    /// The address cannot be bound.
    #[error("cannot bind UDP {0}")]
    Socket(SocketAddr, #[source] std::io::Error),
}

/// Why a handshake gave no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Not in time.
    #[error("the handshake took longer than {0:?}")]
    Deadline(Duration),
    /// It failed; the peer's certificate was refused, or it went away.
    #[error("the handshake failed")]
    Failed(#[source] Closed),
    /// The certificate does not name a peer that is accepted here.
    #[error("the peer's certificate")]
    Peer(#[source] VerifyError),
}

/// A bound UDP port that replicas dial.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    limits: Limits,
    admission: Admission,
    /// None once stopped.
    tls: Mutex<Option<ServerTls>>,
    closing: Closing,
    handshakes: Arc<AtomicUsize>,
}

/// A connection attempt that nothing has been done for yet; dropping it refuses.
#[derive(Debug)]
pub struct Handshaking {
    incoming: quinn::Incoming,
    tls: ServerTls,
    limits: Limits,
    counted: Counted,
}

/// One handshake under way.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Admission {
    fn default() -> Self {
        // A handshake costs ≈ 0.5 ms of CPU: 256 are an eighth of a second, 4,096 two seconds of one core.
        Self { retry_above: 256, refuse_above: 4096 }
    }
}

impl Listener {
    /// Binds `address`; must be called on the runtime that will receive the packets.
    pub fn bind(
        address: SocketAddr,
        tls: ServerTls,
        reset_key: &ResetKey,
        limits: Limits,
        admission: Admission,
    ) -> Result<Self, BindError> {
        let closing = Closing::default();
        let config = config::server(&tls, &limits, closing.clone()).map_err(BindError::Config)?;
        let unbound = |error| BindError::Socket(address, error);
        let socket = socket::bind(address).map_err(unbound)?;
        let mut own = reset_key.endpoint();
        own.max_udp_payload_size(config::DATAGRAM).expect("QUIC allows 1,200 to 65,527");
        let endpoint = Endpoint::new(own, Some(config), socket, Arc::new(Frugal)).map_err(unbound)?;
        Ok(Self {
            endpoint,
            limits,
            admission,
            tls: Mutex::new(Some(tls)),
            closing,
            handshakes: Arc::default(),
        })
    }

    /// Where it is bound.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Uses `tls` for attempts from now on; tunnels that are up go on with what they have. Once stopped, it stays so.
    pub fn set_tls(&self, tls: ServerTls) -> Result<(), ConfigError> {
        let config = config::server(&tls, &self.limits, self.closing.clone())?;
        if let Some(current) = &mut *self.tls.lock() {
            self.endpoint.set_server_config(Some(config));
            *current = tls;
        }
        Ok(())
    }

    /// The next attempt that is let in, or `None` once closed. Cancel-safe.
    pub async fn accept(&self) -> Option<Handshaking> {
        loop {
            let incoming = self.endpoint.accept().await?;
            if let Some(handshaking) = self.admit(incoming) {
                return Some(handshaking);
            }
        }
    }

    /// Handshakes under way.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// Lets nobody in any more; tunnels that are up stay.
    pub fn stop(&self) {
        let mut tls = self.tls.lock();
        self.endpoint.set_server_config(None);
        *tls = None;
    }

    /// Closes all tunnels with `code`, and waits until the peers can have seen it; bound it with a deadline.
    pub async fn close(&self, code: Code) {
        self.closing.begin();
        self.endpoint.close(code.number().into(), b"");
        self.endpoint.wait_idle().await;
    }

    fn admit(&self, incoming: quinn::Incoming) -> Option<Handshaking> {
        let Some(tls) = self.tls.lock().clone() else {
            incoming.refuse();
            return None;
        };
        let under_way = self.handshakes.load(Ordering::Relaxed);
        if under_way >= self.admission.refuse_above {
            incoming.refuse();
            return None;
        }
        if under_way >= self.admission.retry_above && !incoming.remote_address_validated() {
            // It may always be retried while its address is not validated.
            let _ = incoming.retry();
            return None;
        }
        self.handshakes.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.handshakes));
        Some(Handshaking { incoming, tls, limits: self.limits, counted })
    }
}

impl Handshaking {
    /// Where the attempt comes from.
    pub fn remote_address(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Says no without any cryptography.
    pub fn refuse(self) {
        self.incoming.refuse();
    }

    /// Finishes the handshake; the tunnel is driven on the runtime that calls this.
    pub async fn finish(self, deadline: Duration) -> Result<Tunnel, HandshakeError> {
        let failed = |error| HandshakeError::Failed(connection::closed(&error));
        let _counted = self.counted;
        let connecting = self.incoming.accept().map_err(failed)?;
        let connected =
            timeout(deadline, connecting).await.map_err(|_| HandshakeError::Deadline(deadline))?;
        let connection = connected.map_err(failed)?;
        let now = UnixMillis::from_system(SystemTime::now());
        match verify(&connection, &self.tls.verifier, self.tls.peer, now) {
            Ok(peer) => {
                let carrier = Carrier::Quic(Connection::new(connection, None));
                Ok(Tunnel::new(carrier, peer, self.limits))
            }
            Err(error) => {
                farewell::announce(&connection);
                connection.close(Code::Unauthorized.number().into(), b"");
                Err(HandshakeError::Peer(error))
            }
        }
    }
}

/// Who the other end is; rustls has verified the same certificate during the handshake.
pub(super) fn verify(
    connection: &quinn::Connection,
    verifier: &MeshVerifier,
    role: Role,
    now: UnixMillis,
) -> Result<VerifiedPeer, VerifyError> {
    let identity =
        connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    verifier.verify(identity.as_deref().map_or(&[], Vec::as_slice), role, now)
}
