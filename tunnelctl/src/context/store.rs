//! Contexts on disk: `contexts/NAME.yaml` and `current`, mode 0600.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tunnel_certs::{file::FileError, key::PublicKey};
use tunnel_protos::name::NameError;

use super::{ApiAddress, Context, ContextName, IdentityFiles};
use crate::folder;

/// A context that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No context was chosen and none was made yet.
    #[error("no context in {} yet (XDG_CONFIG_HOME moves it): run `tunnelctl login --help`", .0.display())]
    None(PathBuf),
    /// The context asked for does not exist.
    #[error("no context named {0}: run `tunnelctl login --context {0} …`, or choose another")]
    Unknown(ContextName),
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is not a context ({problem}): log in again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
}

/// The folder of contexts.
#[derive(Debug, Clone)]
pub struct Contexts {
    folder: PathBuf,
}

impl Contexts {
    /// Contexts under the configuration folder.
    pub fn new(config: &Path) -> Self {
        Self { folder: config.into() }
    }

    /// The context named, or the one of the last login.
    pub fn load(&self, name: Option<&ContextName>) -> Result<(ContextName, Context), Error> {
        let name = match name {
            Some(name) => name.clone(),
            None => self.current()?,
        };
        let path = self.path(&name);
        let Some(text) = read(&path)? else { return Err(Error::Unknown(name)) };
        let file: File = serde_saphyr::from_str(&text).map_err(|error| malformed(&path, &error))?;
        Ok((name, file.parse().map_err(|error| malformed(&path, &error))?))
    }

    /// Keeps a context and makes it the current one.
    pub fn save(&self, name: &ContextName, context: &Context) -> Result<(), Error> {
        let path = self.path(name);
        let text = serde_saphyr::to_string(&File::from(context)).map_err(|error| malformed(&path, &error))?;
        write(&path, &text)?;
        write(&self.current_path(), &name.to_string())
    }

    fn current(&self) -> Result<ContextName, Error> {
        let path = self.current_path();
        let text = read(&path)?.ok_or_else(|| Error::None(self.folder.clone()))?;
        text.trim().parse().map_err(|error: NameError| malformed(&path, &error))
    }

    fn path(&self, name: &ContextName) -> PathBuf {
        self.folder.join("contexts").join(format!("{name}.yaml"))
    }

    fn current_path(&self) -> PathBuf {
        self.folder.join("current")
    }
}

/// The form on disk.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    version: u32,
    identity: IdentityFiles,
    vendor: String,
    operator: String,
    vendor_keys: Vec<String>,
    api: ApiAddress,
    suffix: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connect_address: Option<String>,
}

impl File {
    fn parse(self) -> Result<Context, Problem> {
        if self.version != VERSION {
            return Err(Problem::Version(self.version));
        }
        let keys = self.vendor_keys.iter().map(|pem| PublicKey::from_pem(pem).map_err(Problem::VendorKey));
        let vendor_keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        // Without a pinned key every entry would have to be refused; say so here, once.
        if vendor_keys.is_empty() {
            return Err(Problem::NoVendorKey);
        }
        Ok(Context {
            identity: self.identity,
            vendor: self.vendor.parse().map_err(Problem::Name)?,
            operator: self.operator.parse().map_err(Problem::Name)?,
            vendor_keys,
            api: self.api,
            suffix: self.suffix.parse().map_err(Problem::Name)?,
            connect_address: self.connect_address,
        })
    }
}

impl From<&Context> for File {
    fn from(context: &Context) -> Self {
        Self {
            version: VERSION,
            identity: context.identity.clone(),
            vendor: context.vendor.to_string(),
            operator: context.operator.to_string(),
            vendor_keys: context.vendor_keys.iter().map(PublicKey::to_pem).collect(),
            api: context.api.clone(),
            suffix: context.suffix.to_string(),
            connect_address: context.connect_address.clone(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("version {0}")]
    Version(u32),
    #[error("no vendor key")]
    NoVendorKey,
    #[error("a vendor key: {0}")]
    VendorKey(tunnel_certs::key::PublicKeyError),
    #[error("{0}")]
    Name(NameError),
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.into(), source }),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    folder::write(path, text.as_bytes()).map_err(|source| Error::Write { path: path.into(), source })
}

fn malformed(path: &Path, problem: &dyn fmt::Display) -> Error {
    Error::Malformed { path: path.into(), problem: problem.to_string() }
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
