//! A client that only looks at who answers: it notes the certificates that are shown, and never goes on.

use std::sync::{Arc, OnceLock};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{TlsError, chain, client_builder, finish_client};
use crate::crypto;

/// Notes a server's certificates and refuses them, whatever they are: nothing can be sent by its configuration.
#[derive(Debug, Clone, Default)]
pub struct Witness(Arc<Seen>);

impl Witness {
    /// For one handshake, which always fails.
    pub fn client(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = client_builder(Arc::<Seen>::clone(&self.0))?;
        Ok(finish_client(builder.with_no_client_auth(), alpn))
    }

    /// What was shown, unverified; nothing if the handshake did not come so far.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.0.chain.get().map_or(&[], Vec::as_slice)
    }
}

#[derive(Debug, Default)]
struct Seen {
    chain: OnceLock<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.chain.get_or_init(|| chain(leaf, rest).into_iter().map(CertificateDer::into_owned).collect());
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    // Whoever intercepts may have a key of any kind; it must be offered all, or it shows nothing.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        crypto::provider().signature_verification_algorithms.supported_schemes()
    }
}
