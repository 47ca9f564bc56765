//! TLS configurations of every place: TLS 1.3 only, no tickets, no session storage, no early data.
//!
//! Client certificates are always required. ALPN is the caller's to name; the gate's is `h2`.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use tunnel_protos::{DoorName, Suffix};

use crate::{
    credential::Credential,
    identity::Role,
    roots::Roots,
    verify::{GrantCertificate, GrantVerifier, MeshVerifier, OperatorVerifier},
};

/// A configuration that could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build the TLS configuration: {0}")]
pub struct TlsError(pub String);

/// Tells the gate's handshake whether a serial was ever handed out (tombstones of the last 24 h included).
pub trait KnownSerials: Send + Sync {
    /// Whether this certificate's serial belongs to its grant.
    fn knows(&self, certificate: &GrantCertificate) -> bool;
}

impl<F: Fn(&GrantCertificate) -> bool + Send + Sync> KnownSerials for F {
    fn knows(&self, certificate: &GrantCertificate) -> bool {
        self(certificate)
    }
}

/// A broker's side of tunnels: presents a broker, takes peers of `role` only.
pub fn mesh_server(
    credential: &Credential,
    verifier: MeshVerifier,
    role: Role,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    todo!()
}

/// A replica's side of tunnels: presents itself, takes brokers only, whatever the server name.
pub fn mesh_client(
    credential: &Credential,
    verifier: MeshVerifier,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    todo!()
}

/// The gate: takes certificates that we did issue, expired ones too; ask [`peer_certificates`] after the handshake.
pub fn gate_server(
    credential: &Credential,
    verifier: GrantVerifier,
    serials: Arc<dyn KnownSerials>,
) -> Result<Arc<ServerConfig>, TlsError> {
    todo!()
}

/// The broker's API: an ordinary server certificate, operators' identities only.
pub fn operator_api_server(
    credential: &Credential,
    verifier: OperatorVerifier,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    todo!()
}

/// An operator's side of the broker's API: `server_roots` are those of the API's server certificate.
pub fn operator_client(
    credential: &Credential,
    server_roots: &Roots,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    todo!()
}

/// An operator's side of a session: presents the grant certificate, takes the gate's chain to `anchors` only.
pub fn grant_client(
    credential: &Credential,
    anchors: &Roots,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    todo!()
}

/// The server name of a door, for [`grant_client`] connections.
pub fn door_server_name(
    door: &DoorName,
    suffix: &Suffix,
) -> Result<rustls_pki_types::ServerName<'static>, TlsError> {
    todo!()
}
