//! Reading and writing files, with errors that name them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_protos::v1::Envelope;

use super::report::Report;
use crate::{
    credential::{certificate_to_pem, certificates_from_pem},
    csr, file,
    issue::Authority,
    key::{Algorithm, PublicKey, Signer, SigningKey},
    roots::Roots,
    statement::registration,
    verify::Summary,
};

/// A CA on this machine.
#[derive(Debug, clap::Args)]
pub(super) struct CaFiles {
    /// The CA's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The CA's private key.
    #[arg(long, value_name = "FILE")]
    ca_key: PathBuf,
}

impl CaFiles {
    pub(super) fn load(&self) -> Result<Authority> {
        Authority::load(&self.ca, &self.ca_key).with_context(|| format!("the CA {}", self.ca.display()))
    }
}

/// Where the key to be certified comes from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct KeySource {
    /// A certificate request (PKCS#10, PEM or DER) made elsewhere; only its public key is used.
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// Make a new private key and write it here.
    #[arg(long, value_name = "FILE")]
    key_out: Option<PathBuf>,
}

/// A public key, and the private one if it was made here and is not yet written.
pub(super) struct Key {
    pub(super) public: PublicKey,
    fresh: Option<(SigningKey, PathBuf)>,
}

impl KeySource {
    pub(super) fn key(&self) -> Result<Key> {
        match (&self.csr, &self.key_out) {
            (Some(path), _) => Ok(Key { public: csr_key(path)?, fresh: None }),
            (None, Some(path)) => Key::generate(Algorithm::P256, path),
            (None, None) => anyhow::bail!("name a --csr or a --key-out"),
        }
    }
}

impl Key {
    pub(super) fn generate(algorithm: Algorithm, path: &Path) -> Result<Self> {
        let key = SigningKey::generate(algorithm)?;
        Ok(Self { public: key.public().clone(), fresh: Some((key, path.into())) })
    }

    /// Writes the private key, if it was made here; never over another.
    pub(super) fn save(&self) -> Result<()> {
        self.save_behind(None)
    }

    /// The same, behind a passphrase if there is one.
    pub(super) fn save_behind(&self, passphrase: Option<&str>) -> Result<()> {
        match (&self.fresh, passphrase) {
            (Some((key, path)), Some(passphrase)) => Ok(key.save_encrypted(path, passphrase)?),
            (Some((key, path)), None) => Ok(key.save(path)?),
            (None, _) => Ok(()),
        }
    }
}

fn csr_key(path: &Path) -> Result<PublicKey> {
    let bytes = file::read(path)?;
    let der = csr::from_pem_or_der(&bytes);
    csr::public_key(&der).with_context(|| path.display().to_string())
}

/// Reads a public key (PEM) of the vendor.
pub(super) fn vendor_public_key(path: &Path) -> Result<PublicKey> {
    let bytes = file::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let key = PublicKey::from_pem(&text).with_context(|| format!("the public key {}", path.display()))?;
    ensure_ed25519(&key, path)?;
    Ok(key)
}

pub(super) fn ensure_ed25519(key: &PublicKey, path: &Path) -> Result<()> {
    let is_ed25519 = key.algorithm() == Algorithm::Ed25519;
    ensure!(is_ed25519, "{} is no vendor key: those are Ed25519 (tunnel-certs key vendor)", path.display());
    Ok(())
}

/// Reads CA certificates from one or more files.
pub(super) fn roots(paths: &[PathBuf]) -> Result<Roots> {
    let mut ders = Vec::new();
    for path in paths {
        let name = || format!("the CA certificate {}", path.display());
        ders.extend(certificates_from_pem(&file::read(path)?).with_context(name)?);
    }
    Roots::new(ders).context("the CA certificates")
}

/// Writes one certificate (PEM).
pub(super) fn save_certificate(path: &Path, der: &CertificateDer<'_>) -> Result<()> {
    Ok(file::write(path, certificate_to_pem(der).as_bytes())?)
}

/// Writes an envelope.
pub(super) fn save_envelope(path: &Path, envelope: &Envelope) -> Result<()> {
    Ok(file::write(path, &envelope.encode_to_vec())?)
}

/// Reads a registration that its own cluster key signed.
pub(super) fn registration(path: &Path) -> Result<registration::Opened> {
    registration::open(&file::read(path)?).with_context(|| path.display().to_string())
}

/// What was certified, for the report.
pub(super) fn issued(path: &Path, der: &CertificateDer<'_>) -> Result<Report> {
    let summary = Summary::read(der)?;
    Ok(Report::new()
        .file("certificate", path)
        .with("names", summary.names.join(" "))
        .time("not after", summary.not_after))
}
