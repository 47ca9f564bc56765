//! `tunnel-certs statement trust-bundle`: all that a customer and an operator trust of a vendor.

mod next;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Args;
use prost::Message;
use tunnel_protos::{Suffix, UnixMillis, VendorName, v1::Envelope};

use crate::{
    cli::{VendorKey, files, report::Report},
    key::{PublicKey, Signer},
    roots::Roots,
    rotation::CaId,
    statement::trust_bundle::TrustBundle,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct TrustBundleArgs {
    #[command(flatten)]
    first: First,
    #[command(flatten)]
    next: next::Next,
    /// How long it is valid, at most 90 days.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "90d")]
    life: Duration,
    /// The same in days.
    #[arg(long, conflicts_with = "life")]
    days: Option<u32>,
    /// A release key's public half; with --from they replace those before.
    #[arg(long, value_name = "FILE", requires = "release_threshold")]
    release_key: Vec<PathBuf>,
    /// How many release keys sign a release.
    #[arg(long, default_value_t = 0, requires = "release_key")]
    release_threshold: u32,
    /// A broker's `host:port`; with --from they replace those before.
    #[arg(long, visible_alias = "brokers", value_name = "HOST:PORT", value_delimiter = ',')]
    broker: Vec<String>,
    /// Private addresses (CIDR) that brokers may have; with --from they replace those before.
    #[arg(long, value_name = "CIDR")]
    allow_private: Vec<String>,
    #[command(flatten)]
    key: VendorKey,
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A bundle from nothing.
#[derive(Debug, Args)]
struct First {
    /// The vendor's name.
    #[arg(long, required_unless_present = "from", conflicts_with = "from")]
    vendor: Option<VendorName>,
    /// DNS suffix of doors and API.
    #[arg(long, required_unless_present = "from", conflicts_with = "from")]
    suffix: Option<Suffix>,
    /// Higher than that of the bundle before, which it replaces.
    #[arg(long, required_unless_present = "from", conflicts_with = "from")]
    sequence: Option<u64>,
    /// A vendor key's public half, 1 to 8.
    #[arg(long, value_name = "FILE", required_unless_present = "from", conflicts_with = "from")]
    vendor_key: Vec<PathBuf>,
    /// A mesh CA's certificate, 1 to 4.
    #[arg(long, value_name = "FILE", required_unless_present = "from", conflicts_with = "from")]
    mesh_root: Vec<PathBuf>,
    /// An operator CA's certificate, 1 to 4.
    #[arg(long, value_name = "FILE", required_unless_present = "from", conflicts_with = "from")]
    operator_root: Vec<PathBuf>,
}

impl TrustBundleArgs {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        let life = self.days.map_or(self.life, |days| DAY * days);
        ensure!(life <= TrustBundle::MAX_LIFE, "a trust bundle is valid for at most 90 days");
        let key = self.key.load()?;
        let previous = self.next.previous(key.public())?;
        let expires = now.plus(life);
        let bundle = match &previous {
            Some(previous) => self.next.bundle(previous.successor(expires))?,
            None => self.first.bundle(expires)?,
        };
        let bundle = self.with_shared(bundle)?;
        let signed = bundle.make(&key)?;
        check(&signed, previous.as_ref(), key.public(), now)?;
        files::save_envelope(&self.out, &signed)?;
        Ok(self.report(&bundle, key.public()))
    }

    /// Those options that mean the same with and without a bundle before.
    fn with_shared(&self, mut bundle: TrustBundle) -> Result<TrustBundle> {
        if !self.release_key.is_empty() {
            bundle.release_keys = public_keys(&self.release_key)?;
            bundle.release_threshold = self.release_threshold;
        }
        if !self.broker.is_empty() {
            bundle.broker_addresses.clone_from(&self.broker);
        }
        if !self.allow_private.is_empty() {
            bundle.allowed_private_addresses.clone_from(&self.allow_private);
        }
        Ok(bundle)
    }

    /// What was signed, so that its signer sees it.
    fn report(&self, bundle: &TrustBundle, key: &PublicKey) -> Report {
        let report = Report::new()
            .file("trust bundle", &self.out)
            .with("sequence", bundle.sequence)
            .time("expires", bundle.expires)
            .with("mesh roots", digests(&bundle.mesh_roots))
            .with("operator roots", digests(&bundle.operator_roots))
            .with("vendor keys", bundle.vendor_keys.len())
            .with("release keys", release_keys(bundle))
            .with("brokers", bundle.broker_addresses.join(" "));
        match bundle.vendor_keys.contains(key) {
            true => report,
            false => report.with("note", "the signing key is not in the new list: this bundle retires it"),
        }
    }
}

impl First {
    fn bundle(&self, expires: UnixMillis) -> Result<TrustBundle> {
        let missing = "without --from, --vendor, --suffix and --sequence are needed";
        Ok(TrustBundle {
            vendor: self.vendor.clone().context(missing)?,
            suffix: self.suffix.clone().context(missing)?,
            sequence: self.sequence.context(missing)?,
            expires,
            vendor_keys: public_keys(&self.vendor_key)?,
            mesh_roots: files::roots(&self.mesh_root)?,
            operator_roots: files::roots(&self.operator_root)?,
            release_keys: vec![],
            release_threshold: 0,
            broker_addresses: vec![],
            allowed_private_addresses: vec![],
        })
    }
}

fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| files::vendor_public_key(path)).collect()
}

fn release_keys(bundle: &TrustBundle) -> String {
    match bundle.release_keys.len() {
        0 => "none: no release is trusted".into(),
        count => format!("{count}, {} of them sign a release", bundle.release_threshold),
    }
}

fn digests(roots: &Roots) -> String {
    let digests: Vec<_> = roots.certificates().iter().map(|der| CaId::of(der).to_string()).collect();
    digests.join(" ")
}

/// Nothing leaves that its readers would refuse.
fn check(signed: &Envelope, previous: Option<&TrustBundle>, key: &PublicKey, now: UnixMillis) -> Result<()> {
    let bytes = signed.encode_to_vec();
    let opened = match previous {
        Some(previous) => previous.open_next(&bytes, now),
        None => TrustBundle::open(&bytes, std::slice::from_ref(key), now),
    };
    opened.context("this bundle would be refused").map(drop)
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const EXAMPLE: &str = "\
Examples:
  tunnel-certs statement trust-bundle --vendor initech --suffix tunnel.example --sequence 1 \\
      --vendor-key vendor.pub --mesh-root mesh-ca.pem --operator-root operator-ca.pem \\
      --broker broker.initech.example:443 --key vendor.key --out trust-bundle.pb
  tunnel-certs statement trust-bundle --from trust-bundle.pb --add-mesh-root next-ca.pem --key vendor.key \\
      --out trust-bundle-2.pb";
