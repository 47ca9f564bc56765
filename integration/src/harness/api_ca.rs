//! An ordinary server CA, as a vendor's web team would run: it signs the operators' API's certificate.

use std::path::Path;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tunnel_certs::file;

use super::vendor::Files;

/// The CA.
pub struct ApiAuthority(CertifiedIssuer<'static, KeyPair>);

impl ApiAuthority {
    /// Makes the CA and writes its certificate to `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(rcgen::DnType::CommonName, "Throw-away web CA");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        file::write(path, issuer.pem().as_bytes())?;
        Ok(Self(issuer))
    }

    /// Certifies a fresh key for the DNS name, and writes both.
    pub fn issue(&self, name: &str, files: &Files) -> Result<()> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        file::write(&files.certificate, certificate.pem().as_bytes())?;
        file::write_private(&files.key, key.serialize_pem().as_bytes())?;
        Ok(())
    }
}
