//! The bundle after another: its content, changed as asked, under the next sequence.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{cli::files, file, key::PublicKey, roots::Roots, statement::trust_bundle::TrustBundle};

#[derive(Debug, Args)]
pub(super) struct Next {
    /// Make the bundle after this one: the next sequence and, but for what is asked, the same content.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The vendor key (public half) that signed the bundle of --from, if it is another than --key.
    #[arg(long, value_name = "FILE")]
    from_signed_by: Option<PathBuf>,
    /// Trust one more mesh CA.
    #[arg(long, value_name = "FILE")]
    add_mesh_root: Vec<PathBuf>,
    /// Trust a mesh CA no longer.
    #[arg(long, value_name = "FILE")]
    remove_mesh_root: Vec<PathBuf>,
    /// Trust one more operator CA.
    #[arg(long, value_name = "FILE")]
    add_operator_root: Vec<PathBuf>,
    /// Trust an operator CA no longer.
    #[arg(long, value_name = "FILE")]
    remove_operator_root: Vec<PathBuf>,
    /// Trust one more vendor key (public half).
    #[arg(long, value_name = "FILE")]
    add_vendor_key: Vec<PathBuf>,
    /// Trust a vendor key (public half) no longer.
    #[arg(long, value_name = "FILE")]
    remove_vendor_key: Vec<PathBuf>,
}

impl Next {
    /// The bundle before, proven by the key that signs the next one or by the one that is named: a file that somebody
    /// replaced would otherwise have its content signed.
    pub(super) fn previous(&self, key: &PublicKey) -> Result<Option<TrustBundle>> {
        let Some(path) = &self.from else {
            ensure!(
                !self.changes(),
                "what is added or taken away needs the bundle before: name it with --from"
            );
            return Ok(None);
        };
        let signer = match &self.from_signed_by {
            Some(path) => files::vendor_public_key(path)?,
            None => key.clone(),
        };
        let opened = TrustBundle::open_at_any_time(&file::read(path)?, &[signer]);
        let hint = || format!("{} (if another vendor key signed it, name --from-signed-by)", path.display());
        opened.with_context(hint).map(Some)
    }

    /// Clap forgives options that need `--from` when `--vendor`, which excludes it, is there.
    fn changes(&self) -> bool {
        let roots = [&self.add_mesh_root, &self.remove_mesh_root, &self.add_operator_root];
        let keys = [&self.remove_operator_root, &self.add_vendor_key, &self.remove_vendor_key];
        self.from_signed_by.is_some() || roots.iter().chain(&keys).any(|paths| !paths.is_empty())
    }

    /// `next` with all that is asked added and taken away.
    pub(super) fn bundle(&self, mut next: TrustBundle) -> Result<TrustBundle> {
        next.mesh_roots = changed_roots(&next.mesh_roots, &self.add_mesh_root, &self.remove_mesh_root)?;
        next.operator_roots =
            changed_roots(&next.operator_roots, &self.add_operator_root, &self.remove_operator_root)?;
        for path in &self.remove_vendor_key {
            take(&mut next.vendor_keys, &files::vendor_public_key(path)?, path)?;
        }
        for path in &self.add_vendor_key {
            put(&mut next.vendor_keys, files::vendor_public_key(path)?, path)?;
        }
        Ok(next)
    }
}

fn changed_roots(roots: &Roots, add: &[PathBuf], remove: &[PathBuf]) -> Result<Roots> {
    let mut ders = roots.certificates().to_vec();
    for path in remove {
        for der in files::roots(std::slice::from_ref(path))?.certificates() {
            take(&mut ders, der, path)?;
        }
    }
    for path in add {
        for der in files::roots(std::slice::from_ref(path))?.certificates() {
            put(&mut ders, der.clone(), path)?;
        }
    }
    Roots::new(ders).context("no root is left")
}

/// What is not there was misnamed: a removal that removes nothing would be believed to have.
fn take<T: PartialEq>(all: &mut Vec<T>, item: &T, path: &Path) -> Result<()> {
    let before = all.len();
    all.retain(|other| other != item);
    ensure!(all.len() < before, "{} is not in the bundle before", path.display());
    Ok(())
}

fn put<T: PartialEq>(all: &mut Vec<T>, item: T, path: &Path) -> Result<()> {
    ensure!(!all.contains(&item), "{} is in the bundle already", path.display());
    all.push(item);
    Ok(())
}
