//! The trust bundle in force: the configured file, or a newer one that was published while the broker ran, which the
//! database keeps. Invariant: a bundle replaces the one before only if a vendor key of that one signed it, or, from the
//! configured file, one of the configured files of vendor keys; if its sequence is higher; and if the broker itself still
//! holds under it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};
use tunnel_certs::{
    file::{self, FileError},
    key::PublicKey,
    statement::{
        envelope::{self, EnvelopeError},
        trust_bundle::{OpenError, TrustBundle},
    },
};
use tunnel_protos::{Digest, UnixMillis, v1::Envelope};
use tunnel_runtime::chain;

use super::{
    TrustError,
    fingerprint::{Fingerprint, Followed, Look},
};
use crate::{
    config::TrustConfig,
    metrics,
    store::{Store, StoreError, trust::Kept},
};

/// A trust bundle, as it came and as it reads.
#[derive(Debug, Clone)]
pub(crate) struct Trusted {
    /// What it says.
    pub(crate) bundle: TrustBundle,
    /// What a vendor key signed.
    pub(crate) envelope: Envelope,
}

/// The trust bundle in force, and where others come from.
#[derive(Debug)]
pub(crate) struct Bundles {
    files: TrustConfig,
    store: Store,
    in_force: watch::Sender<Arc<Trusted>>,
    followed: Mutex<Followed>,
    /// The bundle's file alone, as it was when it was taken or left alone.
    filed: Mutex<Fingerprint>,
    /// One replacement at a time.
    turn: Semaphore,
}

/// Why a trust bundle was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// It does not hold, or is not newer.
    #[error(transparent)]
    Refused(OpenError),
    /// Two bundles with one sequence.
    #[error("another trust bundle with sequence {0} is in force; make one with a higher sequence")]
    Changed(u64),
    /// Doors and the API have their names under it.
    #[error("the trust bundle names another suffix; a broker serves one for as long as it runs")]
    OtherSuffix,
    /// Replicas would find no broker here.
    #[error(
        "the broker's own mesh certificate does not hold under this trust bundle; name its mesh CA in it, too, \
         until the rotation has replaced the certificate"
    )]
    Unfit,
    /// Not stored, so not published.
    #[error("the database failed, try again")]
    Store(#[source] StoreError),
}

/// Why the file is not in force.
#[derive(Debug, thiserror::Error)]
enum FiledError {
    #[error("cannot read it")]
    File(#[source] FileError),
    #[error("not an envelope")]
    Decode(#[source] prost::DecodeError),
    #[error("the configured vendor keys")]
    Key(#[source] TrustError),
    #[error("it cannot replace the one in force")]
    Replace(#[source] PublishError),
}

impl Trusted {
    /// Opens an envelope that one of `keys` signed.
    fn open(bytes: &[u8], keys: &[PublicKey], now: UnixMillis) -> Result<Self, OpenError> {
        let bundle = TrustBundle::open(bytes, keys, now)?;
        // What was opened is an envelope.
        let envelope = Envelope::decode(bytes).unwrap_or_default();
        Ok(Self { bundle, envelope })
    }

    fn digest(&self) -> Digest {
        envelope::digest(&self.envelope)
    }

    fn note(&self) {
        metrics::expiration("trust_bundle", self.bundle.expires);
        metrics::trust_sequence(self.bundle.sequence);
    }
}

impl Bundles {
    /// Reads file and database; the higher sequence counts. With a bundle that was published and still holds, a file that
    /// cannot be read is a warning: it may have expired since.
    pub(crate) async fn open(
        config: &TrustConfig,
        store: Store,
        now: UnixMillis,
    ) -> Result<Self, TrustError> {
        let (first, followed) = first(config, Some(&store), now).await?;
        info!(sequence = first.bundle.sequence, until = %first.bundle.expires, "Trust bundle in force");
        first.note();
        Ok(Self {
            files: config.clone(),
            store,
            in_force: watch::Sender::new(Arc::new(first)),
            followed: Mutex::new(followed),
            filed: Mutex::new(Fingerprint::of(&[&config.bundle])),
            turn: Semaphore::new(1),
        })
    }

    /// The one that a start would begin with; none is published before there is a database.
    pub(crate) async fn glance(
        config: &TrustConfig,
        store: Option<&Store>,
        now: UnixMillis,
    ) -> Result<Trusted, TrustError> {
        first(config, store, now).await.map(|(first, _)| first)
    }

    /// The one in force.
    pub(crate) fn current(&self) -> Arc<Trusted> {
        Arc::clone(&self.in_force.borrow())
    }

    /// The one in force, now and later.
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<Trusted>> {
        self.in_force.subscribe()
    }

    /// Replaces the one in force, once that is stored; the same one again changes nothing.
    pub(crate) async fn replace(
        &self,
        envelope: &Envelope,
        fits: impl Fn(&TrustBundle) -> bool,
        now: UnixMillis,
    ) -> Result<(), PublishError> {
        self.replace_by(envelope, &[], fits, now).await
    }

    /// The same, signed by a key of the one in force or by one of `pinned`.
    async fn replace_by(
        &self,
        envelope: &Envelope,
        pinned: &[PublicKey],
        fits: impl Fn(&TrustBundle) -> bool,
        now: UnixMillis,
    ) -> Result<(), PublishError> {
        // A database call is the longest that anybody waits for.
        let _turn = self.turn.acquire().await.expect("it is never closed");
        let current = self.current();
        if envelope::digest(envelope) == current.digest() {
            return Ok(());
        }
        let (next, signer) = succeed(&current, envelope, pinned, now)?;
        if next.bundle.suffix != current.bundle.suffix {
            return Err(PublishError::OtherSuffix);
        }
        if !fits(&next.bundle) {
            return Err(PublishError::Unfit);
        }
        let kept = Kept { envelope: envelope.encode_to_vec(), signer: signer.raw().to_vec() };
        self.store.put_trust_bundle(&kept, now).await.map_err(PublishError::Store)?;
        info!(sequence = next.bundle.sequence, until = %next.bundle.expires, "Trust bundle replaced");
        next.note();
        metrics::reload("trust_bundle", true);
        self.in_force.send_replace(Arc::new(next));
        Ok(())
    }

    /// Takes the file if it, or a file of a vendor key, is not in use.
    pub(super) async fn look(&self, fits: impl Fn(&TrustBundle) -> bool, now: UnixMillis) -> Look {
        let files = self.files.clone();
        // Files are read on a thread for blocking work; it ends by itself.
        let look =
            tokio::task::spawn_blocking(move || (fingerprint(&files), Fingerprint::of(&[&files.bundle])));
        let Ok((found, filed)) = look.await else { return Look::Same };
        if self.followed.lock().is_in_use(&found) {
            return Look::Same;
        }
        let taken = match self.take_file(fits, now).await {
            // Only keys changed, beside a file that is older than what was published: as at a start, it is left alone.
            Err(FiledError::Replace(PublishError::Refused(OpenError::NotNewer { .. })))
                if *self.filed.lock() == filed =>
            {
                Ok(())
            }
            taken => taken,
        };
        if taken.is_ok() {
            *self.filed.lock() = filed;
        }
        self.followed.lock().note(found, taken)
    }

    async fn take_file(
        &self,
        fits: impl Fn(&TrustBundle) -> bool,
        now: UnixMillis,
    ) -> Result<(), FiledError> {
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || (file::read(&files.bundle), pinned(&files)));
        let Ok((bytes, pinned)) = read.await else { return Ok(()) };
        let envelope = Envelope::decode(&bytes.map_err(FiledError::File)?[..]).map_err(FiledError::Decode)?;
        // A key that cannot be read keeps out no bundle that a key in force signed.
        let (pinned, unread) = pinned.map_or_else(|error| (Vec::new(), Some(error)), |keys| (keys, None));
        let replaced = self.replace_by(&envelope, &pinned, fits, now).await;
        replaced.map_err(|error| match (error, unread) {
            (PublishError::Refused(OpenError::Envelope(_)), Some(unread)) => FiledError::Key(unread),
            (error, _) => FiledError::Replace(error),
        })
    }
}

async fn first(
    config: &TrustConfig,
    store: Option<&Store>,
    now: UnixMillis,
) -> Result<(Trusted, Followed), TrustError> {
    let mut keys = pinned(config)?;
    let kept = match store {
        Some(store) => store.trust_bundle().await.map_err(TrustError::Store)?,
        None => None,
    };
    let kept = kept.and_then(|kept| reopen(&kept, now));
    keys.extend(kept.iter().flat_map(|kept| kept.bundle.vendor_keys.clone()));
    let found = fingerprint(config);
    choose(read(&config.bundle, &keys, now), kept, found)
}

/// Of bundle and vendor keys.
fn fingerprint(files: &TrustConfig) -> Fingerprint {
    let paths = std::iter::once(&files.bundle).chain(&files.vendor_keys);
    Fingerprint::of(&paths.map(PathBuf::as_path).collect::<Vec<_>>())
}

/// The vendor keys that the configuration names.
fn pinned(files: &TrustConfig) -> Result<Vec<PublicKey>, TrustError> {
    files.vendor_keys.iter().map(|path| load_key(path)).collect()
}

/// Opens a bundle that is to follow `current`, and says which key of its list, or of `pinned`, signed it.
fn succeed(
    current: &Trusted,
    envelope: &Envelope,
    pinned: &[PublicKey],
    now: UnixMillis,
) -> Result<(Trusted, PublicKey), PublishError> {
    let keys = [&current.bundle.vendor_keys[..], pinned].concat();
    let unproven = |error: EnvelopeError| PublishError::Refused(OpenError::Envelope(error));
    // Whose word counts is what differs; everything else is asked of the one in force.
    let current = TrustBundle { vendor_keys: keys.clone(), ..current.bundle.clone() };
    let bundle = current.open_next(&envelope.encode_to_vec(), now).map_err(|error| match error {
        OpenError::NotNewer { current, got } if current == got => PublishError::Changed(current),
        error => PublishError::Refused(error),
    })?;
    let signers = envelope::verify(envelope, &keys, 1).map_err(unproven)?;
    let none = || unproven(EnvelopeError::Unproven { got: 0, wanted: 1 });
    let signer = signers.first().map(|key| (*key).clone()).ok_or_else(none)?;
    Ok((Trusted { bundle, envelope: envelope.clone() }, signer))
}

/// The database is the broker's own: what it keeps was in force, by the key that is kept beside it.
fn reopen(kept: &Kept, now: UnixMillis) -> Option<Trusted> {
    let signer = PublicKey::from_ed25519_raw(&kept.signer).ok()?;
    let opened = Trusted::open(&kept.envelope, &[signer], now);
    opened
        .inspect_err(
            |error| warn!(error = %chain(error), "The trust bundle that was published last does not count"),
        )
        .ok()
}

/// The file counts unless a bundle was published that is newer; one that cannot be read is looked at again.
fn choose(
    filed: Result<Trusted, TrustError>,
    kept: Option<Trusted>,
    found: Fingerprint,
) -> Result<(Trusted, Followed), TrustError> {
    let in_use = |found| Followed::new("trust_bundle", found);
    match (filed, kept) {
        (filed, None) => filed.map(|filed| (filed, in_use(found))),
        (Err(error), Some(kept)) => {
            let mut followed = in_use(Fingerprint::nothing());
            followed.note(found, Err(error));
            Ok((kept, followed))
        }
        (Ok(filed), Some(kept)) if succeeds(&filed.bundle, &kept.bundle) => Ok((filed, in_use(found))),
        (Ok(filed), Some(kept)) => {
            let (file, sequence) = (filed.bundle.sequence, kept.bundle.sequence);
            if filed.digest() != kept.digest() {
                info!(
                    file,
                    sequence, "The configured trust bundle is older than the one that was published last"
                );
            }
            Ok((kept, in_use(found)))
        }
    }
}

/// A file of another vendor or suffix is another configuration, which what was published before says nothing of.
fn succeeds(filed: &TrustBundle, kept: &TrustBundle) -> bool {
    (&filed.vendor, &filed.suffix) != (&kept.vendor, &kept.suffix) || filed.sequence > kept.sequence
}

fn read(path: &Path, keys: &[PublicKey], now: UnixMillis) -> Result<Trusted, TrustError> {
    let bytes = file::read(path).map_err(TrustError::File)?;
    Trusted::open(&bytes, keys, now).map_err(|error| TrustError::Bundle(path.to_owned(), error))
}

fn load_key(path: &Path) -> Result<PublicKey, TrustError> {
    let bytes = file::read(path).map_err(TrustError::File)?;
    PublicKey::from_pem(&String::from_utf8_lossy(&bytes))
        .map_err(|error| TrustError::VendorKey(path.to_owned(), error))
}

#[cfg(test)]
mod tests;
