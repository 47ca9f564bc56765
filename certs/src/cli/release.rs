//! `tunnel-certs release`: manifests of releases, signed by some of the release keys, each on its own machine.

mod check;
mod sign;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use tunnel_protos::{UnixMillis, v1::Envelope};

use super::report::Report;
use crate::{
    statement::{envelope, release::Release as Manifest},
    words::Words,
};

/// Signs and checks manifests of releases: product, component, sequence, images by digest, expiry.
#[derive(Debug, Subcommand)]
pub enum Release {
    /// Write the manifest of a release and sign it.
    #[command(after_help = sign::EXAMPLE)]
    Sign(Box<sign::Sign>),
    /// Sign a manifest that another release key has signed, too.
    #[command(after_help = sign::ADD_EXAMPLE)]
    AddSignature(sign::AddSignature),
    /// Check that enough release keys signed a manifest, and that customers would take it now.
    #[command(after_help = check::EXAMPLE)]
    Verify(check::Verify),
    /// Say what a manifest holds; nothing of it is proven.
    Inspect(check::Inspect),
}

impl Release {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        match self {
            Self::Sign(sign) => sign.run(now),
            Self::AddSignature(add) => add.run(now),
            Self::Verify(verify) => verify.run(now),
            Self::Inspect(inspect) => inspect.run(now),
        }
    }
}

/// All that a manifest says, so that whoever signs or brings it sees it.
fn describe(manifest: &Manifest, envelope: &Envelope, now: UnixMillis) -> Report {
    let images = manifest.images.iter().map(|image| json!(image.to_string())).collect();
    let report = Report::new()
        .with("product", &manifest.product)
        .with("component", &manifest.component)
        .with("release", &manifest.name)
        .with("sequence", manifest.seq)
        .with("upgrade from", source(manifest))
        .with("configuration schema", manifest.configuration_schema)
        .time("expires", manifest.expires)
        .value("images", images)
        .with("signatures", envelope.signatures.len())
        .with("words", Words::of(&envelope::digest(envelope)));
    if manifest.expires > now { report } else { report.with("note", "it has expired: customers refuse it") }
}

fn source(manifest: &Manifest) -> String {
    match manifest.min_source_seq {
        0 => "any release".into(),
        least => format!("sequence {least} on"),
    }
}
