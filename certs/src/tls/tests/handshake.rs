//! One handshake between two ends in memory.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, DigitallySignedStruct, ServerConfig, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
    client::{
        WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::{key::SigningKey, tls::signer::TlsSigner};

/// Both ends after a completed handshake.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
}

/// Runs the handshake to its end, and a little beyond for what the server may still send.
pub(super) fn connect(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: ServerName<'static>,
) -> Result<Ended, rustls::Error> {
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    for _ in 0..8 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut &wire[..]).unwrap();
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Ended { client, server })
}

/// What the refusing end says.
pub(super) fn refused(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: ServerName<'static>,
) -> String {
    let error = connect(client, server, name).unwrap_err();
    format!("{error} {error:?}")
}

/// A client without a certificate that believes any server.
pub(super) fn anonymous() -> Arc<ClientConfig> {
    believer(&[&TLS13])
}

/// The same with TLS 1.2 only.
pub(super) fn anonymous_tls12() -> Arc<ClientConfig> {
    believer(&[&TLS12])
}

/// A client that believes any server, shows `chain` and signs with `key`, whether they belong together or not.
pub(super) fn showing(chain: Vec<CertificateDer<'static>>, key: Arc<SigningKey>) -> Arc<ClientConfig> {
    let shown = Arc::new(CertifiedKey::new(chain, Arc::new(TlsSigner(key))));
    let builder = believing(&[&TLS13]);
    h2(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown))))
}

fn believer(versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    h2(believing(versions).with_no_client_auth())
}

fn h2(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn believing(versions: &[&'static SupportedProtocolVersion]) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believe))
}

#[derive(Debug)]
struct Believe;

impl ServerCertVerifier for Believe {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
