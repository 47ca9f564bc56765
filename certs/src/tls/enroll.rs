//! TLS of enrollment: only the broker shows a certificate, because the replica has none yet.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{
    TlsError, client::BrokerVerifier, client_builder, finish_client, finish_server, server_builder,
    signatures,
};
use crate::{credential::Credential, verify::MeshVerifier};

/// The protocol of enrollment, over TCP.
pub const ENROLL_ALPN: &[u8] = b"postern-enroll/1";

/// A broker's side of enrollment: presents its mesh leaf and asks for no certificate, so that nothing optional exists.
pub fn enroll_server(credential: &Credential) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = server_builder()?.with_no_client_auth();
    Ok(finish_server(builder, &credential.to_server(), &[ENROLL_ALPN]))
}

/// A replica's side of enrollment: shows nothing, takes brokers under the mesh roots only, whatever the server name.
pub fn enroll_client(verifier: MeshVerifier) -> Result<Arc<ClientConfig>, TlsError> {
    anonymous(Arc::new(BrokerVerifier { verifier }))
}

/// The same for whoever answers, to fetch a trust bundle when the mesh roots were replaced in one's absence.
///
/// Nothing may travel over it but that fetch: the bundle proves itself by a vendor key, and no secret is shown.
pub fn insecure_enroll_client() -> Result<Arc<ClientConfig>, TlsError> {
    anonymous(Arc::new(Anyone))
}

fn anonymous(verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, TlsError> {
    Ok(finish_client(client_builder(verifier)?.with_no_client_auth(), &[ENROLL_ALPN]))
}

#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}
