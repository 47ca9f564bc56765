//! `tunnel-certs inspect`: what a file holds, without trusting any of it unless a key is named to prove it by.

mod bundle;
mod envelope;
mod pem;
mod signer;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use super::report::{Format, Report};
use crate::{enrollment::Bundle, file};

/// Says what files hold; nothing of it is verified but what `--signed-by` asks for.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Inspect {
    /// Certificates, keys, certificate requests (PEM), statements (.pb) or enrollment bundles.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Fail unless every file is a statement signed by this key: a public key (PEM), or the cluster key in a
    /// registration or inventory entry that you trust.
    #[arg(long, value_name = "FILE")]
    signed_by: Option<PathBuf>,
}

impl Inspect {
    pub(super) fn run(&self, format: Format) -> Result<String> {
        let signer = self.signed_by.as_deref().map(signer::load).transpose()?;
        let mut reports = Vec::new();
        for path in &self.files {
            let bytes = file::read(path)?;
            if let Some(key) = &signer {
                signer::prove(&bytes, key).with_context(|| path.display().to_string())?;
            }
            let found = contents(&bytes).with_context(|| path.display().to_string())?;
            reports.extend(found);
        }
        Ok(match format {
            Format::Text => {
                let texts: Vec<_> = reports.iter().map(|report| report.print(format)).collect();
                texts.join("\n")
            }
            Format::Json => format!("{:#}\n", Value::Array(reports.iter().map(Report::json).collect())),
        })
    }
}

fn contents(bytes: &[u8]) -> Result<Vec<Report>> {
    let is_pem = bytes.windows(PEM_MARK.len()).any(|window| window == PEM_MARK);
    match Bundle::open(bytes) {
        _ if is_pem => pem::describe(bytes),
        Ok(opened) => Ok(vec![bundle::describe(&opened)]),
        Err(_) => envelope::describe(bytes).map(|report| vec![report]),
    }
}

const PEM_MARK: &[u8] = b"-----BEGIN ";
const EXAMPLE: &str = "Example:\n  tunnel-certs inspect trust-bundle.pb mesh-ca.pem --output json\n  tunnel-certs inspect receipt.pb --signed-by entry.pb";
