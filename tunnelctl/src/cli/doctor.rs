//! `doctor`.

use std::path::PathBuf;

use clap::Args;

use super::examples;

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = examples::DOCTOR)]
pub struct Doctor {
    /// Write what was found to this archive (tar) for whoever helps; no keys, no secrets
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}
