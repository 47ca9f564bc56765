//! `tunnel-certs statement inventory`: turns a registration whose words were compared into an inventory entry, or renews
//! an entry.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tunnel_protos::{ClusterName, UnixMillis};

use crate::{
    cli::{VendorKey, files, issue::compare, report::Report},
    enrollment::Bundle,
    file,
    key::{PublicKey, Signer},
    statement::{
        envelope,
        inventory::{self, Entry},
        registration,
    },
    words::Words,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Inventory {
    #[command(flatten)]
    source: Source,
    /// The enrollment bundle that was handed to the customer; names the cluster, and proves a registration that came
    /// by enrollment.
    #[arg(long, value_name = "FILE", requires = "mac", conflicts_with = "cluster")]
    enrollment: Option<PathBuf>,
    /// The MAC that came with the registration (64 hexadecimal digits).
    #[arg(long, requires = "enrollment")]
    mac: Option<String>,
    /// The 8 words that the customer read out, heard another way than the file came.
    #[arg(long, required_unless_present = "renew", conflicts_with = "renew")]
    words: Option<Words>,
    /// The cluster's name, like acme/prod.
    #[arg(long, required_unless_present_any = ["renew", "enrollment"], conflicts_with = "renew")]
    cluster: Option<ClusterName>,
    /// Higher than that of the entry before; operators refuse lower ones.
    #[arg(long, required_unless_present = "renew", conflicts_with = "renew")]
    sequence: Option<u64>,
    /// How long it is valid, at most 180 days.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "180d")]
    life: Duration,
    #[command(flatten)]
    key: VendorKey,
    /// The entry.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Where the keys come from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The registration that `tunnel-client keys export` wrote, or that a cluster enrolled with.
    #[arg(long, value_name = "FILE")]
    registration: Option<PathBuf>,
    /// An entry of this vendor key: the same keys, the next sequence, a new expiry.
    #[arg(long, value_name = "FILE")]
    renew: Option<PathBuf>,
}

impl Inventory {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        ensure!(self.life <= Entry::MAX_LIFE, "an inventory entry is valid for at most 180 days");
        let key = self.key.load()?;
        let entry = match &self.source.renew {
            Some(path) => renewed(path, key.public())?,
            None => self.registered()?,
        };
        let entry = Entry { expires: now.plus(self.life), ..entry };
        let signed = entry.make(&key)?;
        files::save_envelope(&self.out, &signed)?;
        Ok(Report::new()
            .file("entry", &self.out)
            .with("cluster", &entry.cluster)
            .with("label", entry.label)
            .with("sequence", entry.sequence)
            .time("expires", entry.expires)
            .with("words of the entry", Words::of(&envelope::digest(&signed))))
    }

    /// From a registration whose words, and if it was enrolled whose MAC, are those of the customer.
    fn registered(&self) -> Result<Entry> {
        let missing = "without --renew, --registration, --words and --sequence are needed";
        let path = self.source.registration.as_ref().context(missing)?;
        let (opened, cluster) = self.opened(path)?;
        compare(&opened, self.words.context(missing)?)?;
        Ok(Entry {
            cluster,
            label: opened.registration.label,
            cluster_key: opened.registration.cluster_key,
            sealing_key: opened.registration.sealing_key,
            sequence: self.sequence.context(missing)?,
            expires: UnixMillis(0),
        })
    }

    fn opened(&self, path: &std::path::Path) -> Result<(registration::Opened, ClusterName)> {
        let (Some(bundle), Some(mac)) = (&self.enrollment, &self.mac) else {
            let opened = files::registration(path)?;
            let is_enrolled = opened.registration.token.is_some();
            ensure!(!is_enrolled, "{} came by enrollment: name --enrollment and --mac", path.display());
            return Ok((opened, self.cluster.clone().context("name the --cluster")?));
        };
        let enrollment = Bundle::load(bundle).with_context(|| bundle.display().to_string())?;
        let mac = data_encoding::HEXLOWER_PERMISSIVE.decode(mac.as_bytes()).context("the MAC")?;
        let opened =
            enrollment.check(&file::read(path)?, &mac).with_context(|| path.display().to_string())?;
        Ok((opened, enrollment.bundle.cluster))
    }
}

/// The same keys under the next sequence; only an entry that this very key signed is renewed.
fn renewed(path: &std::path::Path, key: &PublicKey) -> Result<Entry> {
    let opened = inventory::open_at_any_time(&file::read(path)?, std::slice::from_ref(key));
    let opened = opened.with_context(|| path.display().to_string())?;
    let sequence = opened.entry.sequence.checked_add(1).context("the last sequence there is")?;
    Ok(Entry { sequence, ..opened.entry })
}

const EXAMPLE: &str = "\
Examples:
  tunnel-certs statement inventory --registration acme.pb --words \"…\" --cluster acme/prod --sequence 1 \\
      --key vendor.key --out entry.pb
  tunnel-certs statement inventory --renew entry.pb --key vendor.key --out entry-2.pb";
