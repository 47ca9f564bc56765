//! `tunnel-certs sign`: the vendor key's half of what another machine prepared. No network.

use std::path::PathBuf;

use clap::Args;
use prost::Message;
use serde_json::json;
use tunnel_certs::file;

use crate::{
    app::App,
    cli::VendorKey,
    ending::Ending,
    failure::Failure,
    signing::{self, Keyring, Unsigned},
};

/// Signs an inventory entry or a trust bundle; look at it with `tunnel-certs inspect` before.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Sign {
    /// What to sign.
    file: PathBuf,
    #[command(flatten)]
    key: VendorKey,
    /// The signed statement.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Sign {
    pub(super) fn run(self, app: &mut App) -> Result<Ending, Failure> {
        let unsigned = Unsigned::read(&self.file)?;
        let (kind, words) = (unsigned.kind().as_str(), unsigned.words().to_string());
        let key = Keyring::new(&self.key, &app.prompt).open()?;
        let signed = unsigned.sign(&key)?;
        file::write(&self.out, &signed.encode_to_vec()).map_err(signing::Error::File)?;
        let out = self.out.display().to_string();
        let value = json!({ "event": "signed", "kind": kind, "words": words, "file": out });
        app.console.result(&value, format_args!("{out}: signed {kind}, words {words}"));
        Ok(Ending::OK)
    }
}

const EXAMPLE: &str = "\
Example:
  tunnel-certs inspect entry.unsigned
  tunnel-certs sign entry.unsigned --vendor-key vendor.key --out entry.pb
The words are those that the other machine showed.";
