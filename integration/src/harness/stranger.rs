//! TLS clients that show what our own configurations refuse to show: no certificate, or a chain of several.

use std::sync::Arc;

use anyhow::Result;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tunnel_certs::key::SigningKey;

/// A client that trusts `anchors` and shows no certificate.
pub fn anonymous(anchors: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>> {
    let mut config = builder(anchors)?.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// A client that shows `chain`, whatever it is.
pub fn showing(
    anchors: &[CertificateDer<'static>],
    chain: Vec<CertificateDer<'static>>,
    key: &SigningKey,
) -> Result<Arc<ClientConfig>> {
    let key = PrivateKeyDer::from_pem_slice(key.to_pem().as_bytes())?;
    let mut config = builder(anchors)?.with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn builder(
    anchors: &[CertificateDer<'static>],
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>> {
    let mut store = RootCertStore::empty();
    for anchor in anchors {
        store.add(anchor.clone())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    Ok(builder.with_protocol_versions(&[&rustls::version::TLS13])?.with_root_certificates(store))
}
