//! `roots` and `ca`: whom this client trusts of the vendor, and the CA behind operators' certificates. Anybody who can
//! open the socket may: a bundle proves itself, and the rest tightens or renews.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use prost::Message;
use tunnel_protos::{approvers as api, v1::Envelope};
use tunnel_runtime::exit::Exit;

use super::{super::output, Console, Daemon, Failed, answered};
use crate::clock;

/// What to do about roots.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Roots {
    /// Show the trust bundle in force and its roots, with those that were removed here.
    List {
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Take a newer trust bundle from a file; it proves itself by a vendor key of the one in force.
    Import(Import),
    /// Stop trusting one root, whatever a trust bundle says, now and later.
    Remove(Remove),
}

/// Arguments of `roots import`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tunnel-client roots import trust-bundle.pb")]
pub(in crate::cli) struct Import {
    /// The file with the signed trust bundle.
    file: PathBuf,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `roots remove`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tunnel-client roots remove 3fa8c1d2 --note 'key was stolen'")]
pub(in crate::cli) struct Remove {
    /// SHA-256 of the root's certificate, or its first 8 or more digits.
    fingerprint: String,
    /// Why, for the record.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// What to do about the access CA.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Ca {
    /// Show when the access CA ends.
    Status {
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Make a new access CA beside the old one, which goes on for a day; no session ends by it.
    Rotate(Rotate),
}

/// Arguments of `ca rotate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tunnel-client ca rotate --if-due    # from a timer, as often as you like"
)]
pub(in crate::cli) struct Rotate {
    /// Only if less than a third of its life is left.
    #[arg(long)]
    if_due: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Roots {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let view = match self {
            Self::List { daemon } => {
                let mut membership = daemon.membership(console).await?;
                answered(membership.get_trust(api::GetTrustRequest {})).await?
            }
            Self::Import(import) => import.run(console).await?,
            Self::Remove(Remove { fingerprint, note, daemon }) => {
                let mut membership = daemon.membership(console).await?;
                answered(membership.remove_root(api::RemoveRootRequest { fingerprint, note })).await?
            }
        };
        console.result(&output::trust(&view, clock::wall()), &output::trust_json(&view))?;
        Ok(Exit::Ok)
    }
}

impl Import {
    async fn run(self, console: &mut Console) -> Result<api::TrustView, Failed> {
        let bytes = tunnel_certs::file::read(&self.file).map_err(|error| Failed::Usage(error.to_string()))?;
        let bundle = Envelope::decode(&bytes[..])
            .map_err(|_| Failed::Usage(format!("{} holds no trust bundle", self.file.display())))?;
        let mut membership = self.daemon.membership(console).await?;
        answered(membership.import_trust(api::ImportTrustRequest { trust_bundle: Some(bundle) })).await
    }
}

impl Ca {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        match self {
            Self::Status { daemon } => {
                let mut client = daemon.connect(console).await?;
                let status = answered(client.get_status(api::GetStatusRequest {})).await?;
                let end = status.access_ca_expires_ms;
                console
                    .result(&output::access_ca_end(end, clock::wall()), &output::access_ca_end_json(end))?;
            }
            Self::Rotate(Rotate { if_due, daemon }) => {
                let mut membership = daemon.membership(console).await?;
                let asked = api::RotateAccessCaRequest { if_due };
                let view = answered(membership.rotate_access_ca(asked)).await?;
                console.result(&output::access_ca(&view, clock::wall()), &output::access_ca_json(&view))?;
            }
        }
        Ok(Exit::Ok)
    }
}
