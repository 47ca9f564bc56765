//! An engine's own authority, as a customer would run it: one certificate for an engine on loopback and one for whoever
//! calls it. Has nothing to do with the product's keys.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use parking_lot::RwLock;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::reference_engine::TlsFiles;

/// Files of a throw-away authority.
#[derive(Clone, Debug)]
pub struct EngineTls {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// Certificate of `localhost` and 127.0.0.1, with its key.
    pub server: (PathBuf, PathBuf),
    /// Certificate for a caller, with its key.
    pub client: (PathBuf, PathBuf),
}

impl EngineTls {
    /// Makes an authority and both certificates in `folder`.
    pub fn create(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "Throw-away engine CA");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let ca = folder.join("engine-ca.pem");
        fs::write(&ca, issuer.pem())?;
        let issue = |name: &str, names: &[&str], usage| issue(&issuer, folder, name, names, usage);
        Ok(Self {
            server: issue("engine", &["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth)?,
            client: issue("engine-client", &["client"], ExtendedKeyUsagePurpose::ClientAuth)?,
            ca,
        })
    }

    /// For an engine that takes any caller.
    pub fn one_way(&self) -> TlsFiles {
        let (certificate, key) = self.server.clone();
        TlsFiles { certificate, key, client_ca: None }
    }

    /// For an engine that takes only callers with our client certificate.
    pub fn mutual(&self) -> TlsFiles {
        TlsFiles { client_ca: Some(self.ca.clone()), ..self.one_way() }
    }

    /// The engine's certificate with its key.
    pub fn certified(&self) -> Result<Arc<CertifiedKey>> {
        let chain = CertificateDer::pem_file_iter(&self.server.0)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.server.1)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider)?))
    }

    /// For a caller with a certificate.
    pub fn caller(&self) -> Result<Arc<ClientConfig>> {
        let chain = CertificateDer::pem_file_iter(&self.client.0)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.client.1)?;
        Ok(with_http2(self.trusting()?.with_client_auth_cert(chain, key)?))
    }

    /// For a caller without one.
    pub fn stranger(&self) -> Result<Arc<ClientConfig>> {
        Ok(with_http2(self.trusting()?.with_no_client_auth()))
    }

    fn trusting(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.ca)?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(roots))
    }
}

/// The certificate of an engine that is given another one while it runs.
#[derive(Debug)]
pub struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    /// Shows this one.
    pub fn new(certified: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(certified)))
    }

    /// Shows this one from the next handshake on.
    pub fn replace(&self, certified: Arc<CertifiedKey>) {
        *self.0.write() = certified;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

fn with_http2(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn issue(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    folder: &Path,
    name: &str,
    names: &[&str],
    usage: ExtendedKeyUsagePurpose,
) -> Result<(PathBuf, PathBuf)> {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
    fs::write(&files.0, certificate.pem())?;
    fs::write(&files.1, key.serialize_pem())?;
    Ok(files)
}
