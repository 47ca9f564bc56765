//! `release verify` and `release inspect`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use tunnel_protos::UnixMillis;

use super::describe;
use crate::{
    cli::{files, report::Report},
    file,
    key::PublicKey,
    statement::{release, trust_bundle::TrustBundle},
};

#[derive(Debug, Args)]
pub struct Verify {
    /// The manifest.
    manifest: PathBuf,
    /// The trust bundle that names the release keys and how many of them sign.
    #[arg(long, value_name = "FILE", required_unless_present = "release_key", requires = "vendor_key")]
    trust_bundle: Option<PathBuf>,
    /// The vendor key (public half) that signed the trust bundle. May be repeated.
    #[arg(long, value_name = "FILE", requires = "trust_bundle")]
    vendor_key: Vec<PathBuf>,
    /// Without a trust bundle: a release key (public half). May be repeated.
    #[arg(long, value_name = "FILE", conflicts_with = "trust_bundle")]
    release_key: Vec<PathBuf>,
    /// How many of --release-key have signed.
    #[arg(long, value_name = "K", default_value_t = 1, requires = "release_key")]
    threshold: u32,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// The manifest.
    manifest: PathBuf,
}

impl Verify {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        let (keys, threshold) = self.trusted(now)?;
        let bytes = file::read(&self.manifest)?;
        let opened = release::open(&bytes, &keys, threshold, now);
        let opened = opened.with_context(|| self.manifest.display().to_string())?;
        let (manifest, envelope) = release::read_unproven(&bytes)?;
        let signers = opened.signers();
        let proof = format!("{} of {threshold} needed", signers.len());
        Ok(describe(&manifest, &envelope, now).with("proven", proof).with("signed by", signers.join(" ")))
    }

    /// The release keys, and how many of them are needed.
    fn trusted(&self, now: UnixMillis) -> Result<(Vec<PublicKey>, u32)> {
        let Some(path) = &self.trust_bundle else {
            return Ok((public_keys(&self.release_key)?, self.threshold));
        };
        let bundle = TrustBundle::open(&file::read(path)?, &public_keys(&self.vendor_key)?, now);
        let bundle = bundle.with_context(|| path.display().to_string())?;
        Ok((bundle.release_keys, bundle.release_threshold))
    }
}

impl Inspect {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        let bytes = file::read(&self.manifest)?;
        let read = release::read_unproven(&bytes).with_context(|| self.manifest.display().to_string())?;
        let (manifest, envelope) = read;
        let names = envelope.signatures.iter().map(|signature| {
            let id = &signature.keyid[..signature.keyid.len().min(8)];
            data_encoding::HEXLOWER.encode(id)
        });
        let names: Vec<_> = names.collect();
        Ok(describe(&manifest, &envelope, now).with("says it is signed by", names.join(" ")))
    }
}

fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| files::vendor_public_key(path)).collect()
}

pub(super) const EXAMPLE: &str = "\
Examples:
  tunnel-certs release verify storage-2.4.1.release --trust-bundle trust-bundle.pb --vendor-key vendor.pub
  tunnel-certs release verify storage-2.4.1.release --release-key r1.pub --release-key r2.pub --threshold 2";
