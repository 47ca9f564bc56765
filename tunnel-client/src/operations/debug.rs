//! Debug bundles: made of exactly what was approved, kept here until the customer lets them go.
//!
//! Invariant: a field that the plan does not list is never in a bundle, and a bundle that is not released never leaves.

mod collect;
mod desk;
mod leaving;
mod lent;
mod pack;
mod places;
mod proof;
mod record;
mod shelf;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};
use tracing::warn;
use tunnel_protos::{Digest, OperatorName, RequestId, operations::v1::Bundle};
use tunnel_runtime::{chain, tasks::Tasks};

pub use self::shelf::{OpenError, ShelfError};
use self::{
    collect::collect,
    lent::Lent,
    pack::{Header, pack, unpack},
    places::{Place, Places},
    proof::Proofs,
    record::Record,
    shelf::Shelf,
};
use super::{Collecting, disk::OwnDisk};
use crate::{
    audit::{Audit, By, Event},
    clock,
    engine::Engine,
};

/// What the policy says of bundles that are made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// They may leave at once.
    Auto,
    /// A person lets each go.
    Manual,
    /// They never leave.
    Never,
}

/// A bundle that lies here.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The request.
    pub id: RequestId,
    /// Who asked.
    pub operator: OperatorName,
    /// When it was made, in Unix milliseconds.
    pub made_ms: i64,
    /// What it is.
    pub bundle: Bundle,
}

/// Why a bundle did not do as it was told; one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// None lies here.
    #[error("there is no bundle of this operation")]
    Unknown,
    /// No such file in it.
    #[error("the bundle has no such file")]
    NoFile,
    /// Another one than was shown.
    #[error("this is not the bundle that was shown")]
    Changed,
    /// Not released.
    #[error("the customer has not released the bundle yet")]
    Held,
    /// The policy.
    #[error("the policy lets no bundle leave (collectDebug.release: deny)")]
    Never,
    /// Behind its end.
    #[error("the bundle has {0} bytes")]
    Offset(u64),
    /// The disk, or what lies on it is not what was put there.
    #[error("the bundle cannot be read")]
    Unreadable,
    /// Too many read at the same time, or the audit log takes nothing now.
    #[error("not now; try again")]
    Busy,
    /// The disk does not take it.
    #[error("the disk did not take it")]
    NotStored,
}

/// Makes, keeps and hands out bundles; cheap to clone.
#[derive(Clone)]
pub struct Keeper(Arc<Shared>);

struct Shared {
    shelf: Shelf,
    policy: Box<dyn Fn() -> Release + Send + Sync>,
    audit: Audit,
    /// Operators who fetch, each one bundle at a time; they leave the customer's people their own places.
    proofs: Proofs,
    fetchers: Places,
    readers: Places,
    /// Bundles that are being forgotten.
    forgetting: Tasks,
}

impl Keeper {
    /// Opens the bundles in `folder`, which is made if it is not there; `policy` tells what counts now.
    pub fn open(
        folder: &Path,
        policy: impl Fn() -> Release + Send + Sync + 'static,
        audit: Audit,
    ) -> Result<Self, OpenError> {
        Ok(Self::on(Shelf::open(folder, OwnDisk)?, policy, audit))
    }

    fn on(shelf: Shelf, policy: impl Fn() -> Release + Send + Sync + 'static, audit: Audit) -> Self {
        let places = || Places::new(READERS);
        Self(Arc::new(Shared {
            shelf,
            policy: Box::new(policy),
            audit,
            proofs: Proofs::default(),
            fetchers: places(),
            readers: places(),
            forgetting: Tasks::new(),
        }))
    }

    /// Makes the bundle, unless it lies here already; `told` hears how many answers came, of how many.
    ///
    /// Dropped, it leaves nothing behind. Its error is one sentence that names no value of the engine's.
    pub async fn make_bundle(
        &self,
        wanted: Collecting,
        engine: &Engine,
        told: impl Fn(u64, u64) + Send + Sync,
    ) -> Result<Bundle, String> {
        if let Some(known) = self.0.shelf.get(&wanted.id) {
            return Ok(known.bundle());
        }
        self.0.shelf.room().map_err(|error| error.to_string())?;
        let parts = collect(engine, &wanted.leaves, told).await.map_err(|error| error.to_string())?;
        let made_ms = clock::wall().0;
        let header = Header { id: wanted.id, digest: wanted.digest, made_ms };
        let packed = spawn_blocking(move || pack(&header, parts)).await;
        let packed = packed.ok().and_then(Result::ok).ok_or("The bundle could not be packed")?;
        let released = (self.0.policy)() == Release::Auto;
        let record = Record::new(&wanted, made_ms, packed.files, &packed.bytes, released);
        let event = record.event("made", None);
        // It lies on the disk only after it stands in the log.
        self.0.audit.record(event).await.map_err(|_| "The audit log takes no record now".to_owned())?;
        let stored = self.0.shelf.put(wanted.id, record, packed.bytes).await;
        stored.map_err(|error| error.to_string())
    }

    /// All bundles that lie here, newest first.
    fn kept(&self) -> Vec<Kept> {
        self.0.shelf.list()
    }

    /// The record of a bundle that may leave now, from `offset` on.
    fn leaving(&self, id: &RequestId, offset: u64) -> Result<Record, Refused> {
        let record = self.0.shelf.get(id).ok_or(Refused::Unknown)?;
        self.may_leave(id, &record)?;
        if offset > record.bytes() { Err(Refused::Offset(record.bytes())) } else { Ok(record) }
    }

    /// Whether this very bundle may leave now, from memory alone.
    fn may_leave(&self, id: &RequestId, record: &Record) -> Result<(), Refused> {
        match (self.0.shelf.is_released(id, &record.digest()).ok_or(Refused::Unknown)?, (self.0.policy)()) {
            (false, _) => Err(Refused::Held),
            // Today's word counts for what was let go before.
            (true, Release::Never) => Err(Refused::Never),
            (true, Release::Auto | Release::Manual) => Ok(()),
        }
    }

    /// The released bundle from `offset` on, proven to be what was made.
    async fn fetched(&self, id: &RequestId, record: &Record, offset: u64) -> Result<Lent, Refused> {
        let place = self.0.fetchers.of(record.operator()).ok_or(Refused::Busy)?;
        let archive = self.archive(*id, record, offset, place).await?;
        // The disk may have taken its time.
        self.may_leave(id, record)?;
        self.0.audit.record(record.event("fetched", None)).await.map_err(|_| Refused::Busy)?;
        Ok(archive)
    }

    /// One file of a bundle, exactly as it would leave; for the customer.
    async fn file(&self, id: &RequestId, path: String) -> Result<Lent, Refused> {
        let record = self.0.shelf.get(id).ok_or(Refused::Unknown)?;
        if path != pack::MANIFEST && !record.has(&path) {
            return Err(Refused::NoFile);
        }
        let place = self.0.readers.any().ok_or(Refused::Busy)?;
        let Lent { bytes, place } = self.archive(*id, &record, 0, place).await?;
        let file = spawn_blocking(move || {
            let file = unpack(&bytes, &path).ok().flatten()?;
            Some(Lent { bytes: file.into(), place })
        });
        timeout(PATIENCE, file).await.ok().and_then(Result::ok).flatten().ok_or(Refused::Unreadable)
    }

    /// Lets the bundle with this digest leave; one that was let go stays so.
    async fn let_go(&self, id: RequestId, digest: [u8; 32], by: By) -> Result<(), Refused> {
        let record = self.0.shelf.get(&id).ok_or(Refused::Unknown)?;
        if record.digest() != digest {
            return Err(Refused::Changed);
        }
        if (self.0.policy)() == Release::Never {
            return Err(Refused::Never);
        }
        if record.is_released() {
            return Ok(());
        }
        let who = by.by.clone();
        self.0.audit.record(record.event("released", Some(by))).await.map_err(|_| Refused::Busy)?;
        put_away(self.0.shelf.release(id, digest, who, clock::wall().0).await)
    }

    /// Deletes a bundle, whether it left or not.
    async fn remove(&self, id: RequestId, by: By) -> Result<(), Refused> {
        self.0.shelf.get(&id).ok_or(Refused::Unknown)?;
        put_away(self.delete(id, Some(by)).await)
    }

    /// Noted once it is gone: nobody is kept from deleting by a log that takes nothing now.
    async fn delete(&self, id: RequestId, by: Option<By>) -> Result<(), ShelfError> {
        let audit = self.0.audit.clone();
        self.0.shelf.delete(id, move |record| audit.note(record.event("deleted", by))).await
    }

    async fn archive(
        &self,
        id: RequestId,
        record: &Record,
        offset: u64,
        place: Place,
    ) -> Result<Lent, Refused> {
        let path = self.0.shelf.path(&id);
        let (digest, bytes, proofs) = (record.digest(), record.bytes(), self.0.proofs.clone());
        let read = spawn_blocking(move || {
            let bytes = proofs.read(&path, bytes, digest, offset)?;
            // Held by the bytes, also while nobody waits for the disk any more.
            Some(Lent { bytes, place })
        });
        timeout(PATIENCE, read).await.ok().and_then(Result::ok).flatten().ok_or(Refused::Unreadable)
    }
}

fn put_away(done: Result<(), ShelfError>) -> Result<(), Refused> {
    done.map_err(|error| {
        warn!(error = %chain(&error), "Debug bundle not put away");
        Refused::NotStored
    })
}

impl Record {
    fn event(&self, what: &'static str, by: Option<By>) -> Event {
        Event::Bundle {
            request: self.id().to_owned(),
            operator: self.operator().to_owned(),
            bundle: Digest::new(self.digest()),
            bytes: self.bytes(),
            what,
            by,
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// Bundles held in memory at the same time by operators, and by the customer's people, each of at most 64 MiB.
const READERS: usize = 4;
/// For the disk, whatever lies on it.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
