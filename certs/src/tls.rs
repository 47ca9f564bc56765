//! TLS configurations of every place: TLS 1.3 only, no tickets, no session storage, no early data.
//!
//! Client certificates are required everywhere but at enrollment, where none can exist; nowhere are they optional.
//! ALPN is the caller's to name; the gate's is `h2`.

mod client;
mod enroll;
mod gate;
mod server;
mod signer;
mod witness;

use std::sync::Arc;

use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    WantsVerifier,
    client::{Resumption, WantsClientCert, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::verify_tls13_signature,
    server::{NoServerSessionStorage, WantsServerCert, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use tunnel_protos::UnixMillis;

pub(crate) use self::signer::TlsSigner;
use self::{
    client::{BrokerVerifier, GateVerifier},
    server::{MeshClientVerifier, OperatorClientVerifier},
};
pub use self::{
    enroll::{ENROLL_ALPN, enroll_client, enroll_server, insecure_enroll_client},
    gate::{GateTls, KnownSerials},
    witness::Witness,
};
use crate::{
    credential::{Credential, ServerCredential},
    crypto::{self, CERTIFICATE_ALGORITHMS},
    identity::Role,
    roots::Roots,
    verify::{GateServerVerifier, MeshVerifier, OperatorVerifier, VerifyError},
};

/// A configuration that could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// rustls refused.
    #[error("cannot build the TLS configuration")]
    Build(#[source] rustls::Error),
    /// None of the server roots can be read.
    #[error("none of the server CA certificates can be used")]
    Roots,
}

/// A broker's side of tunnels: presents a broker, takes peers of `role` only.
pub fn mesh_server(
    credential: &Credential,
    verifier: MeshVerifier,
    role: Role,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    server_config(&credential.to_server(), Arc::new(MeshClientVerifier { verifier, role }), alpn)
}

/// A replica's side of tunnels: presents itself, takes brokers only, whatever the server name.
pub fn mesh_client(
    credential: &Credential,
    verifier: MeshVerifier,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    client_config(credential, Arc::new(BrokerVerifier { verifier }), alpn)
}

/// The broker's API: an ordinary server certificate, operators' identities only.
pub fn operator_api_server(
    credential: &ServerCredential,
    verifier: OperatorVerifier,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    server_config(credential, Arc::new(OperatorClientVerifier { verifier }), alpn)
}

/// An operator's side of the broker's API: `server_roots` are those that the operator's configuration names.
pub fn operator_client(
    credential: &Credential,
    server_roots: &[CertificateDer<'static>],
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    // A system's bundle may hold roots that this build cannot read; the others still count.
    let (usable, _) = store.add_parsable_certificates(server_roots.iter().cloned());
    if usable == 0 {
        return Err(TlsError::Roots);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), crypto::provider()).build();
    client_config(credential, verifier.map_err(|_| TlsError::Roots)?, alpn)
}

/// An operator's side of a session: presents the grant certificate, takes the gate's chain to `anchors` only.
pub fn grant_client(
    credential: &Credential,
    anchors: &Roots,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    client_config(
        credential,
        Arc::new(GateVerifier { verifier: GateServerVerifier::new(anchors.clone()) }),
        alpn,
    )
}

fn server_config(
    credential: &ServerCredential,
    verifier: Arc<dyn ClientCertVerifier>,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    Ok(finish_server(server_builder()?.with_client_cert_verifier(verifier), credential, alpn))
}

fn server_builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, TlsError> {
    let builder = ServerConfig::builder_with_provider(crypto::provider());
    builder.with_protocol_versions(&[&TLS13]).map_err(TlsError::Build)
}

fn finish_server(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    credential: &ServerCredential,
    alpn: &[&[u8]],
) -> Arc<ServerConfig> {
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(credential.certified())));
    // A resumed session would not show its certificate again, so that no revocation could reach it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

fn client_config(
    credential: &Credential,
    verifier: Arc<dyn ServerCertVerifier>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    let resolver = Arc::new(SingleCertAndKey::from(credential.certified()));
    Ok(finish_client(client_builder(verifier)?.with_client_cert_resolver(resolver), alpn))
}

fn client_builder(
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let builder = ClientConfig::builder_with_provider(crypto::provider());
    let builder = builder.with_protocol_versions(&[&TLS13]).map_err(TlsError::Build)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

fn finish_client(mut config: ClientConfig, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// What our verifiers have in common: P-256 signatures only, TLS 1.2 never.
macro_rules! signatures {
    () => {
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
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            crate::tls::verify_signature(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            crate::tls::signature_schemes()
        }
    };
}
use signatures;

fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
    verify_tls13_signature(message, certificate, signature, &CERTIFICATE_ALGORITHMS)
}

fn signature_schemes() -> Vec<SignatureScheme> {
    CERTIFICATE_ALGORITHMS.supported_schemes()
}

/// The peer's certificate and what came with it, as one chain.
fn chain<'a>(leaf: &CertificateDer<'a>, rest: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    std::iter::once(leaf).chain(rest).cloned().collect()
}

fn at(now: UnixTime) -> UnixMillis {
    UnixMillis(i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
}

/// The alert that tells the peer most; the reason itself goes into our own log.
fn alert(error: VerifyError) -> rustls::Error {
    use rustls::CertificateError;
    match error {
        VerifyError::Malformed => CertificateError::BadEncoding,
        VerifyError::UnknownIssuer | VerifyError::CaExpired => CertificateError::UnknownIssuer,
        VerifyError::NotYetValid => CertificateError::NotValidYet,
        VerifyError::Expired => CertificateError::Expired,
        VerifyError::Usage | VerifyError::IsCa | VerifyError::Key => CertificateError::InvalidPurpose,
        VerifyError::Count(_)
        | VerifyError::TooLong
        | VerifyError::Names
        | VerifyError::WrongRole
        | VerifyError::UnknownSerial => CertificateError::Other(rustls::OtherError(Arc::new(error))),
    }
    .into()
}

#[cfg(test)]
mod tests;
