//! Who answers TLS where a broker should: a handshake that only looks at the certificate and never goes on.
//!
//! It speaks of enrollment only: a broker without it says so and shows nothing, so what is shown is no broker's API.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tunnel_certs::{crypto, tls::ENROLL_ALPN};

/// The certificates that are shown, unverified; none if the handshake does not come so far.
pub(super) async fn look(
    address: SocketAddr,
    host: &str,
    deadline: Duration,
) -> Vec<CertificateDer<'static>> {
    let seen = Arc::new(Witness::default());
    // It always fails: what was seen until then is all that is wanted.
    let _refused = timeout(deadline, shake(address, host, &seen)).await;
    std::mem::take(&mut *seen.chain.lock())
}

async fn shake(address: SocketAddr, host: &str, seen: &Arc<Witness>) -> io::Result<()> {
    let config = config(seen).map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(config).connect(name, tcp).await.map(drop)
}

fn config(seen: &Arc<Witness>) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(crypto::provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(seen) as _)
        .with_no_client_auth();
    config.alpn_protocols = vec![ENROLL_ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// Notes a certificate and refuses it, whatever it is.
#[derive(Debug, Default)]
struct Witness {
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(leaf).chain(rest).map(|der| der.clone().into_owned());
        *self.chain.lock() = chain.collect();
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        crypto::provider().signature_verification_algorithms.supported_schemes()
    }
}
