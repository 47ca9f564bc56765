//! `tunnel-certs statement trust-bundle`: all that a customer and an operator trust of a vendor.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Args;
use prost::Message;
use tunnel_protos::{Suffix, UnixMillis, VendorName, v1::Envelope};

use crate::cli::{VendorKey, files, report::Report};
use crate::{
    key::{PublicKey, Signer},
    statement::trust_bundle::TrustBundle,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct TrustBundleArgs {
    /// The vendor's name.
    #[arg(long)]
    vendor: VendorName,
    /// DNS suffix of doors and API.
    #[arg(long)]
    suffix: Suffix,
    /// Higher than that of the bundle before, which it replaces.
    #[arg(long)]
    sequence: u64,
    /// How long it is valid, at most 90 days.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "90d")]
    life: Duration,
    /// A vendor key's public half, 1 to 8.
    #[arg(long, value_name = "FILE", required = true)]
    vendor_key: Vec<PathBuf>,
    /// A mesh CA's certificate, 1 to 4.
    #[arg(long, value_name = "FILE", required = true)]
    mesh_root: Vec<PathBuf>,
    /// An operator CA's certificate, 1 to 4.
    #[arg(long, value_name = "FILE", required = true)]
    operator_root: Vec<PathBuf>,
    /// A release key's public half.
    #[arg(long, value_name = "FILE", requires = "release_threshold")]
    release_key: Vec<PathBuf>,
    /// How many release keys sign a release.
    #[arg(long, default_value_t = 0, requires = "release_key")]
    release_threshold: u32,
    /// A broker's `host:port`.
    #[arg(long, value_name = "HOST:PORT")]
    broker: Vec<String>,
    /// Private addresses (CIDR) that brokers may have.
    #[arg(long, value_name = "CIDR")]
    allow_private: Vec<String>,
    #[command(flatten)]
    key: VendorKey,
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl TrustBundleArgs {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        ensure!(self.life <= TrustBundle::MAX_LIFE, "a trust bundle is valid for at most 90 days");
        let bundle = self.bundle(now)?;
        let key = self.key.load()?;
        let signed = bundle.make(&key)?;
        check(&signed, key.public(), now)?;
        files::save_envelope(&self.out, &signed)?;
        let report = Report::new().file("trust bundle", &self.out).time("expires", bundle.expires);
        Ok(match bundle.vendor_keys.contains(key.public()) {
            true => report,
            false => report.with("note", "the signing key is not in the new list: this bundle retires it"),
        })
    }

    fn bundle(&self, now: UnixMillis) -> Result<TrustBundle> {
        Ok(TrustBundle {
            vendor: self.vendor.clone(),
            suffix: self.suffix.clone(),
            sequence: self.sequence,
            expires: now.plus(self.life),
            vendor_keys: public_keys(&self.vendor_key)?,
            mesh_roots: files::roots(&self.mesh_root)?,
            operator_roots: files::roots(&self.operator_root)?,
            release_keys: public_keys(&self.release_key)?,
            release_threshold: self.release_threshold,
            broker_addresses: self.broker.clone(),
            allowed_private_addresses: self.allow_private.clone(),
        })
    }
}

fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| files::vendor_public_key(path)).collect()
}

/// Nothing leaves that its readers would refuse.
fn check(signed: &Envelope, key: &PublicKey, now: UnixMillis) -> Result<()> {
    let bytes = signed.encode_to_vec();
    TrustBundle::open(&bytes, std::slice::from_ref(key), now).context("this bundle would be refused")?;
    Ok(())
}

const EXAMPLE: &str = "\
Example:
  tunnel-certs statement trust-bundle --vendor initech --suffix tunnel.example --sequence 1 \\
      --vendor-key vendor.pub --mesh-root mesh-ca.pem --operator-root operator-ca.pem \\
      --broker broker.initech.example:443 --key vendor.key --out trust-bundle.pb";
