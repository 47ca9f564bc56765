//! `release sign` and `release add-signature`: nothing is signed that customers would refuse for its content.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use prost::Message;
use tunnel_protos::{ComponentName, Name, PersonText, UnixMillis};

use super::{Manifest, describe};
use crate::{
    cli::{files, passphrase, report::Report},
    file,
    key::{Algorithm, Signer, SigningKey},
    statement::release::{self, Image},
};

#[derive(Debug, Args)]
pub struct Sign {
    /// What is released, for example initech-db.
    #[arg(long, value_name = "NAME")]
    product: Name,
    /// The part of it, as engine profiles name it, for example storage.
    #[arg(long, value_name = "NAME")]
    component: ComponentName,
    /// The release's name for people, for example 2.4.1.
    #[arg(long, value_name = "TEXT")]
    name: PersonText,
    /// Its number: higher than that of any release of the component before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seq: u64,
    /// An image, 1 to 64: container=repository@sha256:… and never a tag.
    #[arg(long, value_name = "IMAGE", required = true)]
    image: Vec<Image>,
    /// The lowest sequence that can be upgraded from [default: any].
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    min_source_seq: u64,
    /// The version of the configuration that it reads.
    #[arg(long, value_name = "N", default_value_t = 0)]
    configuration_schema: u32,
    /// How long customers take this manifest.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "180d")]
    life: Duration,
    #[command(flatten)]
    keys: Keys,
    /// The signed manifest.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct AddSignature {
    /// The manifest; read with `release inspect` what it says.
    manifest: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The manifest with one signature more; it may be the same file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// The release keys of this machine.
#[derive(Debug, Args)]
struct Keys {
    /// A release key; mostly one, since each is on its holder's machine.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Read the keys' passphrase from this file (0600) instead of asking on the terminal.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Keys {
    fn load(&self) -> Result<Vec<SigningKey>> {
        let one = |path: &PathBuf| load(path, self.passphrase_file.as_deref());
        self.key.iter().map(one).collect()
    }
}

fn load(path: &Path, passphrase_file: Option<&Path>) -> Result<SigningKey> {
    let key = passphrase::unlock(path, passphrase_file)?;
    let is_ed25519 = key.public().algorithm() == Algorithm::Ed25519;
    ensure!(is_ed25519, "{} is no release key: those are Ed25519 (tunnel-certs key release)", path.display());
    Ok(key)
}

impl Sign {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        let manifest = self.manifest(now);
        let keys = self.keys.load()?;
        let (first, more) = keys.split_first().context("name a --key")?;
        let mut signed = manifest.make(&[first])?.encode_to_vec();
        release::read_unproven(&signed).context("customers would refuse this manifest")?;
        for key in more {
            signed = release::add_signature(&signed, key)?.encode_to_vec();
        }
        save(&self.out, &signed, now)
    }

    fn manifest(&self, now: UnixMillis) -> Manifest {
        Manifest {
            product: self.product.clone(),
            component: self.component.clone(),
            name: self.name.clone(),
            seq: self.seq,
            images: self.image.clone(),
            min_source_seq: self.min_source_seq,
            configuration_schema: self.configuration_schema,
            expires: now.plus(self.life),
        }
    }
}

impl AddSignature {
    pub(super) fn run(&self, now: UnixMillis) -> Result<Report> {
        let mut signed = file::read(&self.manifest)?;
        for key in self.keys.load()? {
            let added = release::add_signature(&signed, &key);
            signed = added.with_context(|| self.manifest.display().to_string())?.encode_to_vec();
        }
        save(&self.out, &signed, now)
    }
}

fn save(out: &Path, signed: &[u8], now: UnixMillis) -> Result<Report> {
    let (manifest, envelope) = release::read_unproven(signed)?;
    files::save_envelope(out, &envelope)?;
    Ok(describe(&manifest, &envelope, now).file("manifest", out))
}

pub(super) const EXAMPLE: &str = "\
Example:
  tunnel-certs release sign --product initech-db --component storage --name 2.4.1 --seq 41 \\
      --image node=registry.initech.example/storage@sha256:… --min-source-seq 30 --key r1.key --out storage-2.4.1.release
  tunnel-certs release add-signature storage-2.4.1.release --key r2.key --out storage-2.4.1.release
  tunnelctl request upgrade acme/prod --release storage-2.4.1.release --expect 2.4.0 --reason 'new release'";
pub(super) const ADD_EXAMPLE: &str = "\
Example:
  tunnel-certs release inspect storage-2.4.1.release
  tunnel-certs release add-signature storage-2.4.1.release --key r2.key --out storage-2.4.1.release";
