//! `login`.

use std::path::PathBuf;

use clap::Args;
use tunnel_protos::Suffix;

use super::examples;

/// `login`.
#[derive(Debug, Args)]
#[command(after_help = examples::LOGIN)]
pub struct Login {
    /// The operator certificate (PEM); read again at each use, so a renewed file needs no new login
    #[arg(long)]
    pub certificate: PathBuf,
    /// Its private key (PEM, mode 0600)
    #[arg(long)]
    pub key: PathBuf,
    /// The vendor's public key (PEM), as handed over by your administrators; never fetched. May be repeated
    #[arg(long = "vendor-key", required = true)]
    pub vendor_keys: Vec<PathBuf>,
    /// Address of the operators' API, `host:port`
    #[arg(long)]
    pub api: String,
    /// CA certificates (PEM) of the API's server certificate [default: the system's public roots]
    #[arg(long)]
    pub api_ca: Option<PathBuf>,
    /// Name in the API's server certificate instead of `api.<suffix>`
    #[arg(long)]
    pub api_name: Option<String>,
    /// DNS suffix of doors, for example `tunnel.example`
    #[arg(long)]
    pub suffix: Suffix,
    /// Connect sessions to this `host:port` instead of the door's DNS name
    #[arg(long)]
    pub connect_address: Option<String>,
}
