//! `tunnel-certs statement inventory`: turns a registration whose words were compared into an inventory entry.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use clap::Args;
use tunnel_protos::{ClusterName, UnixMillis};

use crate::cli::{VendorKey, files, issue::compare, report::Report};
use crate::{
    statement::{envelope, inventory::Entry},
    words::Words,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Inventory {
    /// The registration that `tunnel-client keys export` wrote.
    #[arg(long, value_name = "FILE")]
    registration: PathBuf,
    /// The 8 words that the customer read out, heard another way than the file came.
    #[arg(long)]
    words: Words,
    /// The cluster's name, like acme/prod.
    #[arg(long)]
    cluster: ClusterName,
    /// Higher than that of the entry before; operators refuse lower ones.
    #[arg(long)]
    sequence: u64,
    /// How long it is valid, at most 180 days.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "180d")]
    life: Duration,
    #[command(flatten)]
    key: VendorKey,
    /// The entry.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Inventory {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        ensure!(self.life <= Entry::MAX_LIFE, "an inventory entry is valid for at most 180 days");
        let opened = files::registration(&self.registration)?;
        compare(&opened, self.words)?;
        let entry = Entry {
            cluster: self.cluster.clone(),
            label: opened.registration.label,
            cluster_key: opened.registration.cluster_key,
            sealing_key: opened.registration.sealing_key,
            sequence: self.sequence,
            expires: now.plus(self.life),
        };
        let signed = entry.make(&self.key.load()?)?;
        files::save_envelope(&self.out, &signed)?;
        Ok(Report::new()
            .file("entry", &self.out)
            .with("cluster", &entry.cluster)
            .with("label", entry.label)
            .time("expires", entry.expires)
            .with("words of the entry", Words::of(&envelope::digest(&signed))))
    }
}

const EXAMPLE: &str = "\
Example:
  tunnel-certs statement inventory --registration acme.pb --words \"…\" --cluster acme/prod --sequence 1 \\
      --key vendor.key --out entry.pb";
