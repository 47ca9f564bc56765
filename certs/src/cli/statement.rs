//! `tunnel-certs statement`: what the vendor key signs.

mod inventory;
mod trust_bundle;

use anyhow::Result;
use clap::Subcommand;
use tunnel_protos::UnixMillis;

use super::report::Report;

/// Signs a statement with the vendor key.
#[derive(Debug, Subcommand)]
pub enum Statement {
    /// A cluster's keys, from its registration: what operators trust.
    Inventory(Box<inventory::Inventory>),
    /// The vendor's roots, keys and addresses: what customers and operators trust.
    TrustBundle(Box<trust_bundle::TrustBundleArgs>),
}

impl Statement {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        match self {
            Self::Inventory(inventory) => inventory.run(now),
            Self::TrustBundle(bundle) => bundle.run(now),
        }
    }
}
