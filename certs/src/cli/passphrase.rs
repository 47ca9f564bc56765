//! Passphrases: from a private file, or typed on the terminal without echo.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use zeroize::Zeroizing;

use super::files;
use crate::{
    file,
    key::{Signer, SigningKey},
};

/// The vendor's private key: every command that signs with it takes these two options.
#[derive(Debug, Args)]
pub struct VendorKey {
    /// The vendor's private key. If it is encrypted, its passphrase is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Read the key's passphrase from this file (0600) instead.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl VendorKey {
    /// Loads the key; the passphrase is asked for only if the file is encrypted.
    pub fn load(&self) -> Result<SigningKey> {
        let key = unlock(&self.key, self.passphrase_file.as_deref())?;
        files::ensure_ed25519(key.public(), &self.key)?;
        Ok(key)
    }
}

/// Loads a private key; the passphrase is asked for only if the file is encrypted and no file names it.
pub(super) fn unlock(key: &Path, passphrase_file: Option<&Path>) -> Result<SigningKey> {
    let ask = || match passphrase_file {
        Some(path) => from_file(path).map_err(io::Error::other),
        None => typed(&format!("Passphrase of {}: ", key.display())),
    };
    SigningKey::load_with(key, ask).with_context(|| format!("the key {}", key.display()))
}

/// How a new key file is protected.
#[derive(Debug, Args)]
pub(super) struct Protection {
    /// Read the new key's passphrase from this file (0600) instead of asking on the terminal.
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    passphrase_file: Option<PathBuf>,
    /// Write the key without a passphrase; for trials.
    #[arg(long)]
    plain: bool,
}

impl Protection {
    /// The passphrase, or none for a plain file.
    pub(super) fn passphrase(&self) -> Result<Option<Zeroizing<String>>> {
        match (&self.passphrase_file, self.plain) {
            (Some(path), _) => from_file(path).map(Some),
            (None, true) => Ok(None),
            (None, false) => typed_twice().map(Some),
        }
    }
}

/// Whether a new key file is protected.
#[derive(Debug, Args)]
pub(super) struct Encryption {
    /// Encrypt the new key with a passphrase, which is asked for on the terminal.
    #[arg(long)]
    encrypt: bool,
    /// Encrypt the new key with the passphrase in this file (0600).
    #[arg(long, value_name = "FILE", conflicts_with = "encrypt")]
    passphrase_file: Option<PathBuf>,
}

impl Encryption {
    /// The passphrase, or none for a plain file.
    pub(super) fn passphrase(&self) -> Result<Option<Zeroizing<String>>> {
        match (&self.passphrase_file, self.encrypt) {
            (Some(path), _) => from_file(path).map(Some),
            (None, true) => typed_twice().map(Some),
            (None, false) => Ok(None),
        }
    }
}

/// The passphrase in a private file: its one line; a line break at its end is not part of it.
pub fn from_file(path: &Path) -> Result<Zeroizing<String>> {
    let name = || format!("the passphrase file {}", path.display());
    let bytes = file::read_private(path).with_context(name)?;
    let text = std::str::from_utf8(&bytes).with_context(name)?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    ensure!(!line.contains('\n'), "the passphrase file {} has more than one line", path.display());
    Ok(Zeroizing::new(line.to_owned()))
}

fn typed_twice() -> Result<Zeroizing<String>> {
    let without = "the key is protected by a passphrase: run this on a terminal, or name a --passphrase-file";
    let first = typed("Passphrase of the new key: ").context(without)?;
    let again = typed("The same again: ").context(without)?;
    if first != again {
        bail!("the two passphrases differ; no key was made");
    }
    Ok(first)
}

/// Asked on the terminal itself, whatever standard input is.
fn typed(prompt: &str) -> io::Result<Zeroizing<String>> {
    rpassword::prompt_password(prompt).map(Zeroizing::new)
}
