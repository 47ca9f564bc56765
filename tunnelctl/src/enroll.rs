//! Enrollment bundles that this machine made, each with its secret (0600), until its cluster is confirmed.
//!
//! The secret never goes to the broker: only here can be told whether a registration came from the bundle's holder.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tunnel_certs::{
    enrollment::{Bundle, CheckError, MacError, OpenError, Opened},
    file::{self, FileError},
    key::PublicKey,
    statement::registration,
    words::Words,
};
use tunnel_protos::{ClusterName, Label, TokenId, UnixMillis, operators::RegistrationReply, v1::TokenKind};

use crate::folder;

/// Why an enrollment goes no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A bundle could not be kept or read.
    #[error("cannot keep enrollment bundles")]
    File(#[source] FileError),
    /// The folder could not be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A bundle that was kept is damaged.
    #[error("the bundle kept in {} is damaged: revoke its token and make another", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// Nobody redeemed the bundle yet.
    #[error(
        "nobody has redeemed the bundle of {0} yet: the customer starts tunnel-client with it, then run this again"
    )]
    NotRedeemed(ClusterName),
    /// There is nothing to confirm.
    #[error(
        "nothing to confirm for {0}: this machine keeps no open bundle of it, and the cluster has sent no new keys; the words \
         of an entry that is published already: tunnelctl inventory show {0}"
    )]
    Nothing(ClusterName),
    /// The registration does not hold.
    #[error("the registration is refused")]
    Registration(#[source] registration::OpenError),
    /// The registration was not made by whoever has the bundle.
    #[error(
        "the registration was not made with this bundle's secret: the broker, or someone on the way, made another. \
         Confirm nothing; revoke the token and look into the broker: tunnelctl enroll revoke {token}"
    )]
    Mac {
        /// The token.
        token: TokenId,
        /// Why.
        source: MacError,
    },
    /// The registration is about something else than the bundle.
    #[error("the registration names another {0} than the bundle: confirm nothing")]
    Other(&'static str),
    /// The customer read other words.
    #[error(
        "the words differ from those of the registration: a word was misheard, or another machine than the customer's \
         redeemed the bundle. Ask for the words of `tunnel-client status` once more; if they stay different: {0}"
    )]
    Words(String),
}

/// The bundles of one context.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    path: PathBuf,
}

impl Kept {
    /// Keeps bundles in `path`.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Keeps a bundle with its secret.
    pub(crate) fn save(&self, bundle: &Bundle) -> Result<(), Error> {
        folder::write(&self.file(bundle.token), &bundle.encode()).map_err(Error::File)
    }

    /// The bundle of a token, if it was made here and is not confirmed.
    pub(crate) fn find(&self, token: TokenId) -> Result<Option<Opened>, Error> {
        read(&self.file(token))
    }

    /// The bundles of kind `cluster` for a cluster, the newest first.
    pub(crate) fn of(&self, cluster: &ClusterName) -> Result<Vec<Opened>, Error> {
        let mut all = self.all()?;
        all.retain(|kept| kept.bundle.cluster == *cluster && kept.bundle.kind == TokenKind::Cluster);
        all.sort_by_key(|kept| std::cmp::Reverse(kept.bundle.expires));
        Ok(all)
    }

    /// Forgets a bundle and its secret.
    pub(crate) fn remove(&self, token: TokenId) -> Result<(), Error> {
        let path = self.file(token);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::File(FileError::Io { action: "remove", path, source }))
            }
            _ => Ok(()),
        }
    }

    /// Forgets what has been over for so long that nobody will confirm it.
    pub(crate) fn sweep(&self, now: UnixMillis) -> Result<(), Error> {
        let over = |kept: &Opened| kept.bundle.expires.plus(KEPT_AFTER_END) <= now;
        for path in self.paths()? {
            // One that cannot be read is for whoever needs it to tell: no other command must fail of it.
            if let Ok(Some(kept)) = read(&path)
                && over(&kept)
            {
                self.remove(kept.bundle.token)?;
            }
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<Opened>, Error> {
        let read = self.paths()?.into_iter().map(|path| read(&path));
        read.filter_map(Result::transpose).collect()
    }

    fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        let list = |source| Error::List { path: self.path.clone(), source };
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(list(error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(list)?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                all.push(path);
            }
        }
        Ok(all)
    }

    fn file(&self, token: TokenId) -> PathBuf {
        self.path.join(format!("{token}.{ENDING}"))
    }
}

fn read(path: &Path) -> Result<Option<Opened>, Error> {
    match file::read_private(path) {
        Ok(bytes) => {
            Bundle::open(&bytes).map(Some).map_err(|source| Error::Damaged { path: path.into(), source })
        }
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(Error::File(error)),
    }
}

/// A registration whose sender is proven: by the bundle's secret, or by the cluster key in force.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) opened: registration::Opened,
    /// The bundle that it was made with; none for keys that replace others.
    pub(crate) token: Option<TokenId>,
}

impl Proven {
    /// Checks what was redeemed with a bundle of this machine.
    pub(crate) fn by_bundle(kept: &Opened, reply: &RegistrationReply) -> Result<Self, Error> {
        let token = kept.bundle.token;
        let envelope = reply.registration.as_ref().ok_or(Error::Other("registration"))?;
        let checked = kept.check(&prost::Message::encode_to_vec(envelope), &reply.mac);
        let opened = checked.map_err(|error| match error {
            CheckError::Open(error) => Error::Registration(error),
            CheckError::Mac(source) => Error::Mac { token, source },
            CheckError::Other(what) => Error::Other(what),
        })?;
        Ok(Self { opened, token: Some(token) })
    }

    /// Checks what a cluster sent to replace its keys.
    pub(crate) fn by_cluster_key(
        reply: &RegistrationReply,
        label: Label,
        current: &PublicKey,
    ) -> Result<Self, Error> {
        let envelope = reply.registration.as_ref().ok_or(Error::Other("registration"))?;
        let bytes = prost::Message::encode_to_vec(envelope);
        let opened = registration::open_replacement(&bytes, current).map_err(Error::Registration)?;
        if opened.registration.label != label {
            return Err(Error::Other("label"));
        }
        Ok(Self { opened, token: None })
    }

    /// Refuses other words than those of the registration; which those are is not said, so that nobody is led to
    /// type them without having asked the customer.
    pub(crate) fn compare(&self, typed: Words) -> Result<(), Error> {
        if self.opened.words == typed {
            return Ok(());
        }
        let what = match self.token {
            Some(token) => format!("tunnelctl enroll revoke {token}"),
            None => "leave the cluster's entry as it is, and ask who replaced its keys".into(),
        };
        Err(Error::Words(what))
    }
}

const ENDING: &str = "enroll";
/// A registration can be confirmed after its bundle's end, but nobody waits a month for that.
const KEPT_AFTER_END: Duration = Duration::from_secs(30 * 24 * 3600);
