//! `tunnel-certs key`: signing keys of people and of the vendor.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{
    files::Key as FileKey,
    passphrase::{Encryption, Protection},
    report::Report,
};
use crate::{file, key::Algorithm};

/// Makes a private key (0600) and writes its public key beside it.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// The vendor's: signs trust bundles and inventory entries. Encrypted with a passphrase; keep it offline.
    #[command(after_help = EXAMPLE)]
    Vendor(Vendor),
    /// An approver's: signs approvals. Its line for the policy's `approvers` is printed.
    #[command(after_help = APPROVER_EXAMPLE)]
    Approver(Out),
    /// A release engineer's: signs releases, together with others. Trusted once a trust bundle names it.
    #[command(after_help = RELEASE_EXAMPLE)]
    Release(Release),
    /// An operator's: signs requests, once the operator CA has certified it.
    Operator(Out),
}

#[derive(Debug, Args)]
pub struct Vendor {
    #[command(flatten)]
    to: Out,
    #[command(flatten)]
    protection: Protection,
}

#[derive(Debug, Args)]
pub struct Release {
    #[command(flatten)]
    to: Out,
    #[command(flatten)]
    encryption: Encryption,
}

#[derive(Debug, Args)]
pub struct Out {
    /// The private key; its public key goes beside it with the ending `.pub`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Key {
    pub(super) fn run(&self) -> Result<Report> {
        let (algorithm, out) = match self {
            Self::Vendor(vendor) => (Algorithm::Ed25519, &vendor.to.out),
            Self::Release(release) => (Algorithm::Ed25519, &release.to.out),
            Self::Approver(to) => (Algorithm::Ed25519, &to.out),
            Self::Operator(to) => (Algorithm::P256, &to.out),
        };
        let public_path = beside(out)?;
        let key = FileKey::generate(algorithm, out)?;
        key.save_behind(self.passphrase()?.as_ref().map(|passphrase| passphrase.as_str()))?;
        file::write(&public_path, key.public.to_pem().as_bytes())?;
        let keyid = data_encoding::HEXLOWER.encode(&key.public.keyid());
        let report =
            Report::new().file("private key", out).file("public key", &public_path).with("key id", keyid);
        Ok(match (self, key.public.to_line()) {
            (Self::Approver(_), Some(line)) => report.with("policy entry", format!("key: \"{line}\"")),
            _ => report,
        })
    }

    fn passphrase(&self) -> Result<Option<Zeroizing<String>>> {
        match self {
            Self::Vendor(vendor) => vendor.protection.passphrase(),
            Self::Release(release) => release.encryption.passphrase(),
            Self::Approver(_) | Self::Operator(_) => Ok(None),
        }
    }
}

/// `vendor.key` → `vendor.pub`; refuses to replace one, which would belong to another private key.
fn beside(private: &Path) -> Result<PathBuf> {
    let public = private.with_extension("pub");
    if public == private {
        bail!("{} is the name of the public key; choose another for the private one", private.display());
    }
    if public.exists() {
        bail!("{} exists already; move it away or choose another name", public.display());
    }
    Ok(public)
}

const EXAMPLE: &str = "Example:\n  tunnel-certs key vendor --out vendor.key    # also writes vendor.pub";
const APPROVER_EXAMPLE: &str = "\
Example:
  tunnel-certs key approver --out alice.key
  # policy.yaml:  approvers: { alice: { key: \"ed25519:…\" } }
  tunnel-client approve 3fa8 --key alice.key";
const RELEASE_EXAMPLE: &str = "\
Example:
  tunnel-certs key release --out r1.key    # also writes r1.pub
  tunnel-certs rotate release-keys --add r1.pub --add r2.pub --threshold 2 --vendor-key vendor.key";
