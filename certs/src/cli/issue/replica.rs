//! `tunnel-certs issue replica`: certifies the mesh key of a registration.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    cli::{
        files::{self, CaFiles},
        report::Report,
    },
    statement::registration,
    words::Words,
};
use tunnel_protos::{ReplicaId, UnixMillis, VendorName};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Replica {
    #[command(flatten)]
    ca: CaFiles,
    /// The registration that `tunnel-client keys export` wrote.
    #[arg(long, value_name = "FILE")]
    registration: PathBuf,
    /// The 8 words that the customer read out; others are refused.
    #[arg(long)]
    words: Option<Words>,
    /// The vendor's name.
    #[arg(long)]
    vendor: VendorName,
    /// The replica's id within its cluster.
    #[arg(long)]
    id: ReplicaId,
    /// How long it is valid.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30d")]
    life: Duration,
    /// The certificate (PEM).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Replica {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        let opened = files::registration(&self.registration)?;
        if let Some(words) = self.words {
            compare(&opened, words)?;
        }
        let authority = self.ca.load()?;
        let label = &opened.registration.label;
        let der = authority.issue_replica(&opened.mesh_key, &self.vendor, label, &self.id, self.life, now)?;
        files::save_certificate(&self.out, &der)?;
        Ok(files::issued(&self.out, &der)?.with("registration", opened.words))
    }
}

/// Refuses a registration with other words than those that came from the customer by another way.
pub(in crate::cli) fn compare(opened: &registration::Opened, words: Words) -> Result<()> {
    if opened.words != words {
        bail!(
            "the words differ: this registration's are '{}'. It is not the one that the customer exported, or a word \
             was misheard: compare again, and do not go on unless they are equal",
            opened.words
        );
    }
    Ok(())
}

const EXAMPLE: &str = "\
Example:
  tunnel-certs issue replica --registration acme.pb --words \"…\" --ca mesh-ca.pem --ca-key mesh-ca.key \\
      --vendor initech --id r1 --out r1.pem";
