//! The words of the command line `tunnel-certs`, for the program that carries them out. Every command returns what it
//! has to say; nothing prints on its own.
//!
//! A program takes them all with `#[command(flatten)] Certs(Box<tunnel_certs::cli::Command>)` in its own enum of commands
//! and adds those that need a network.

mod ca;
mod files;
mod inspect;
mod issue;
mod key;
pub mod passphrase;
mod release;
mod report;
mod statement;

use anyhow::Result;
use clap::Subcommand;
use tunnel_protos::{Label, UnixMillis};

pub use self::{
    passphrase::VendorKey,
    report::{Format, Report},
};
use crate::crypto;

/// All commands that need nothing but files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a signing key.
    #[command(subcommand)]
    Key(key::Key),
    /// Make a certificate authority.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Issue a certificate.
    #[command(subcommand)]
    Issue(issue::Issue),
    /// Make a signed statement.
    #[command(subcommand)]
    Statement(Box<statement::Statement>),
    /// Sign and check release manifests.
    #[command(subcommand)]
    Release(Box<release::Release>),
    /// Draw the label of a new cluster: 10 random characters.
    Label,
    /// Say what a file holds: certificates, keys, requests for certificates, statements, enrollment bundles.
    Inspect(inspect::Inspect),
}

impl Command {
    /// Carries the command out and gives what to print.
    pub fn run(self, output: Format) -> Result<String> {
        let now = UnixMillis::from_system(std::time::SystemTime::now());
        let report = match self {
            Self::Key(key) => key.run()?,
            Self::Ca(ca) => ca.run(now)?,
            Self::Issue(issue) => issue.run(now)?,
            Self::Statement(statement) => statement.run(now)?,
            Self::Release(release) => release.run(now)?,
            Self::Label => Report::new().with("label", Label::from_random(crypto::random())),
            Self::Inspect(inspect) => return inspect.run(output),
        };
        Ok(report.print(output))
    }
}

#[cfg(test)]
mod tests;
