//! `tunnel-certs issue`: certificates, from requests made elsewhere or with new keys.

mod replica;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{Args, Subcommand};
use tunnel_protos::{BrokerId, OperatorName, Suffix, UnixMillis, VendorName};

pub(super) use self::replica::compare;
use super::{
    files::{self, CaFiles, KeySource},
    report::Report,
};
use crate::issue::self_signed_api_server;

/// Issues a certificate.
#[derive(Debug, Subcommand)]
pub enum Issue {
    /// For a replica, from its cluster's registration; at most 30 days.
    Replica(replica::Replica),
    /// For a broker; at most 30 days.
    #[command(after_help = BROKER_EXAMPLE)]
    Broker(Broker),
    /// For an operator; at most 12 hours.
    #[command(after_help = OPERATOR_EXAMPLE)]
    Operator(Operator),
    /// A self-signed server certificate of the operators' API, for trials; in production use that of an ordinary CA.
    #[command(after_help = API_EXAMPLE)]
    ApiServer(ApiServer),
}

#[derive(Debug, Args)]
pub struct Broker {
    #[command(flatten)]
    ca: CaFiles,
    #[command(flatten)]
    key: KeySource,
    /// The vendor's name.
    #[arg(long)]
    vendor: VendorName,
    /// The broker's id.
    #[arg(long)]
    id: BrokerId,
    /// How long it is valid.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30d")]
    life: Duration,
    /// The certificate (PEM).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct Operator {
    #[command(flatten)]
    ca: CaFiles,
    #[command(flatten)]
    key: KeySource,
    /// The vendor's name.
    #[arg(long)]
    vendor: VendorName,
    /// The operator's name.
    #[arg(long)]
    name: OperatorName,
    /// How long it is valid.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "12h")]
    life: Duration,
    /// The certificate (PEM).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct ApiServer {
    /// The DNS suffix; the certificate is for `api.<suffix>`.
    #[arg(long)]
    suffix: Suffix,
    /// An IP address to name as well; may be repeated.
    #[arg(long)]
    address: Vec<IpAddr>,
    /// How long it is valid.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30d")]
    life: Duration,
    /// The certificate (PEM), also the root that operators name in their configuration.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The private key.
    #[arg(long, value_name = "FILE")]
    key_out: PathBuf,
}

impl Issue {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        match self {
            Self::Replica(replica) => replica.run(now),
            Self::Broker(broker) => broker.run(now),
            Self::Operator(operator) => operator.run(now),
            Self::ApiServer(server) => server.run(now),
        }
    }
}

impl Broker {
    fn run(&self, now: UnixMillis) -> Result<Report> {
        let key = self.key.key()?;
        let authority = self.ca.load()?;
        let der = authority.issue_broker(&key.public, &self.vendor, &self.id, self.life, now)?;
        key.save()?;
        files::save_certificate(&self.out, &der)?;
        files::issued(&self.out, &der)
    }
}

impl Operator {
    fn run(&self, now: UnixMillis) -> Result<Report> {
        let key = self.key.key()?;
        let authority = self.ca.load()?;
        let der = authority.issue_operator(&key.public, &self.vendor, &self.name, self.life, now)?;
        key.save()?;
        files::save_certificate(&self.out, &der)?;
        files::issued(&self.out, &der)
    }
}

impl ApiServer {
    fn run(&self, now: UnixMillis) -> Result<Report> {
        let credential = self_signed_api_server(&self.suffix, &self.address, self.life, now)?;
        credential.key().save(&self.key_out)?;
        files::save_certificate(&self.out, credential.certificate())?;
        files::issued(&self.out, credential.certificate())
    }
}

const BROKER_EXAMPLE: &str = "\
Example:
  tunnel-certs issue broker --ca mesh-ca.pem --ca-key mesh-ca.key --vendor initech --id b1 \\
      --out b1.pem --key-out b1.key";
const OPERATOR_EXAMPLE: &str = "\
Example:
  tunnel-certs issue operator --ca operator-ca.pem --ca-key operator-ca.key --vendor initech --name alice \\
      --out alice.pem --key-out alice.key";
const API_EXAMPLE: &str = "\
Example:
  tunnel-certs issue api-server --suffix tunnel.example --out api.pem --key-out api.key";
