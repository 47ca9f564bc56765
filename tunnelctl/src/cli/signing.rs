//! Where the vendor key's signature comes from: a key file of this machine, or another machine.

use std::path::PathBuf;

use clap::Args;

/// The vendor key, or the two halves of signing elsewhere.
#[derive(Debug, Clone, Args)]
pub struct Signing {
    #[command(flatten)]
    pub(crate) key: VendorKey,
    /// Write what is to be signed here and stop; `tunnel-certs sign` signs it on the machine that has the key. For
    /// several entries: a folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vendor_key", "signed"])]
    pub(crate) write_payload: Option<PathBuf>,
    /// Publish this, which was signed elsewhere. May be repeated
    #[arg(long = "entry", value_name = "FILE", conflicts_with = "vendor_key")]
    pub(crate) signed: Vec<PathBuf>,
}

/// A vendor key on this machine.
#[derive(Debug, Clone, Default, Args)]
pub struct VendorKey {
    /// The vendor's private key (PEM, mode 0600), encrypted or not
    #[arg(long, value_name = "FILE")]
    pub(crate) vendor_key: Option<PathBuf>,
    /// Read its passphrase from this file (mode 0600) [default: ask on the terminal]
    #[arg(long, value_name = "FILE", requires = "vendor_key")]
    pub(crate) passphrase_file: Option<PathBuf>,
}
