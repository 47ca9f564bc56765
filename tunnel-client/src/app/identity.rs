//! What this client shows in TLS: the replica toward brokers, the gate's server certificate toward operators.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{info, warn};
use tunnel_certs::{
    credential::Credential,
    issue::{Authority, GATE_SERVER_LIFE, IssueError},
    roots::{Roots, RootsError},
    tls::{self, GateTls, TlsError},
    verify::{GrantVerifier, MeshVerifier},
};
use tunnel_protos::{Label, Suffix, UnixMillis};
use tunnel_runtime::chain;
use tunnel_transport::quic::ClientTls;

use crate::clock::Clock;

/// Why there is no TLS identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The access CA did not issue.
    #[error("the gate's certificate")]
    Issue(#[source] IssueError),
    /// The access CA is no anchor.
    #[error("the access CA")]
    Roots(#[source] RootsError),
    /// The configuration could not be built.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The gate's server certificate, renewed before its end; its key is in memory only.
#[derive(Debug)]
pub(super) struct GateIdentity {
    access_ca: Arc<Authority>,
    label: Label,
    suffix: Suffix,
    clock: Clock,
    published: watch::Sender<Arc<GateTls>>,
}

impl GateIdentity {
    pub(super) fn new(
        access_ca: Arc<Authority>,
        label: Label,
        suffix: Suffix,
        clock: Clock,
    ) -> Result<Self, IdentityError> {
        let first = issue(&access_ca, &label, &suffix, clock.now())?;
        Ok(Self { access_ca, label, suffix, clock, published: watch::Sender::new(Arc::new(first)) })
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<GateTls>> {
        self.published.subscribe()
    }

    /// Renews at two thirds of the life; on failure the old one stays and the next try comes soon.
    pub(super) async fn renew(self) {
        let mut pause = GATE_SERVER_LIFE * 2 / 3;
        loop {
            tokio::time::sleep(pause).await;
            pause = match issue(&self.access_ca, &self.label, &self.suffix, self.clock.now()) {
                Ok(renewed) => {
                    info!("Gate certificate renewed");
                    self.published.send_replace(Arc::new(renewed));
                    GATE_SERVER_LIFE * 2 / 3
                }
                Err(error) => {
                    warn!(error = %chain(&error), "Gate certificate not renewed");
                    RETRY
                }
            };
        }
    }
}

fn issue(ca: &Authority, label: &Label, suffix: &Suffix, now: UnixMillis) -> Result<GateTls, IdentityError> {
    let server = ca.issue_gate_server(label, suffix, now).map_err(IdentityError::Issue)?;
    let roots = Roots::new(vec![ca.certificate().clone()]).map_err(IdentityError::Roots)?;
    Ok(GateTls::new(&server, GrantVerifier::new(*label, roots)))
}

/// Who we are toward brokers, and whom we take for one.
pub(super) fn mesh(
    mesh: &Credential,
    brokers: MeshVerifier,
    alpn: &[u8],
) -> Result<ClientTls, IdentityError> {
    let config = tls::mesh_client(mesh, brokers.clone(), &[alpn])?;
    Ok(ClientTls { config, verifier: brokers })
}

/// There are eight hours left for it.
const RETRY: Duration = Duration::from_secs(60);
