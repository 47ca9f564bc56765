//! `tunnel-certs ca`: self-signed certificate authorities.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use clap::{Args, Subcommand};
use tunnel_protos::UnixMillis;

use super::{files, report::Report};
use crate::{
    issue::{Authority, CaKind},
    key::{Algorithm, SigningKey},
};

/// Makes a CA certificate with its private key.
#[derive(Debug, Subcommand)]
pub enum Ca {
    /// Certifies brokers and replicas; 5 years.
    #[command(after_help = EXAMPLE)]
    Mesh(Out),
    /// Certifies operators; 2 years. Belongs to the identity team, never to the broker.
    Operator(Out),
    /// Certifies grants and gates of one cluster; 1 year. Clients make their own.
    Access(Out),
}

#[derive(Debug, Args)]
pub struct Out {
    /// Whose it is: the vendor's name, or the cluster's label.
    #[arg(long)]
    name: tunnel_protos::Name,
    /// The CA's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The CA's private key.
    #[arg(long, value_name = "FILE")]
    key_out: PathBuf,
}

impl Ca {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        let (kind, to) = match self {
            Self::Mesh(to) => (CaKind::Mesh, to),
            Self::Operator(to) => (CaKind::Operator, to),
            Self::Access(to) => (CaKind::Access, to),
        };
        let key = Arc::new(SigningKey::generate(Algorithm::P256)?);
        let authority = Authority::create(kind, to.name.as_str(), Arc::clone(&key) as _, now)?;
        key.save(&to.key_out)?;
        files::save_certificate(&to.out, authority.certificate())?;
        let (_, not_after) = authority.validity();
        Ok(Report::new()
            .file("certificate", &to.out)
            .file("private key", &to.key_out)
            .time("not after", not_after))
    }
}

const EXAMPLE: &str = "\
Example:
  tunnel-certs ca mesh --name initech --out mesh-ca.pem --key-out mesh-ca.key";
