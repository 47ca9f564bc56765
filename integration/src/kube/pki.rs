//! Certificates and keys of a control plane, made at run time for one run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tunnel_certs::file;

/// What signs the tokens of service accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKey {
    /// RS256, as nearly every cluster has it.
    Rsa,
    /// ES256.
    P256,
}

/// The files, and who may administer.
pub(super) struct Pki {
    folder: PathBuf,
    ca: String,
    administrator: (String, String),
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Pki {
    pub(super) fn create(folder: &Path, tokens: TokenKey) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let authority = authority()?;
        let server = issue(&authority, "kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth)?;
        let administrator =
            issue(&authority, "admin", Some("system:masters"), ExtendedKeyUsagePurpose::ClientAuth)?;
        let tokens = token_key(tokens)?;
        let pki = Self { folder: folder.to_owned(), ca: authority.pem(), administrator };
        file::write(&pki.path("ca.crt"), pki.ca.as_bytes())?;
        file::write(&pki.path("apiserver.crt"), server.0.as_bytes())?;
        file::write_private(&pki.path("apiserver.key"), server.1.as_bytes())?;
        file::write(&pki.path("tokens.pub"), tokens.public_key_pem().as_bytes())?;
        file::write_private(&pki.path("tokens.key"), tokens.serialize_pem().as_bytes())?;
        Ok(pki)
    }

    pub(super) fn flags(&self) -> Vec<String> {
        let flag = |(name, file): (&str, &str)| format!("--{name}={}", self.path(file).display());
        let files = [
            ("tls-cert-file", "apiserver.crt"),
            ("tls-private-key-file", "apiserver.key"),
            ("client-ca-file", "ca.crt"),
            ("service-account-key-file", "tokens.pub"),
            ("service-account-signing-key-file", "tokens.key"),
        ];
        files.map(flag).into()
    }

    /// Writes the administrator's way to the apiserver at this port.
    pub(super) fn kubeconfig(&self, port: u16) -> Result<PathBuf> {
        let (certificate, key) = &self.administrator;
        let [ca, certificate, key] = [&self.ca, certificate, key].map(|pem| BASE64.encode(pem.as_bytes()));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: own\n\
             clusters: [{{name: own, cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority-data: {ca}}}}}]\n\
             users: [{{name: admin, user: {{client-certificate-data: {certificate}, client-key-data: {key}}}}}]\n\
             contexts: [{{name: own, context: {{cluster: own, user: admin}}}}]\n"
        );
        let path = self.path("kubeconfig");
        file::write_private(&path, text.as_bytes())?;
        Ok(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn authority() -> Result<Authority> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "Throw-away Kubernetes CA");
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// Certificate and key of a user or server.
fn issue(
    authority: &Authority,
    name: &str,
    group: Option<&str>,
    usage: ExtendedKeyUsagePurpose,
) -> Result<(String, String)> {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, authority)?.pem(), key.serialize_pem()))
}

fn token_key(kind: TokenKey) -> Result<KeyPair> {
    let algorithm = match kind {
        TokenKey::Rsa => &rcgen::PKCS_RSA_SHA256,
        TokenKey::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
    };
    Ok(KeyPair::generate_for(algorithm)?)
}
