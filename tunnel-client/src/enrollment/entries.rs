//! The inventory entry: brought by brokers, believed by the vendor's signature, in force once a person confirmed its
//! keys.
//!
//! Invariant: one task decides, and nothing is published that is not recorded and stored before.

mod judge;
mod office;
mod open;
mod view;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tunnel_certs::words::Words;
use tunnel_protos::{Digest, PersonText, UnixMillis, approvers::EnrollmentView, v1};

pub use self::{
    judge::Refused,
    office::Office,
    open::{OpenError, Settings},
};

use super::{Member, progress::Progress};
use crate::{
    approvers::{Approver, ConfirmError, EnrollmentDesk, RotateKeysError, StoreFault, Who},
    requests::{Admission, Keyring},
};

/// The inventory entry of this cluster; cheap to clone.
#[derive(Debug, Clone)]
pub struct Entries {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// Why an entry that was brought is not looked at any more.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// It is none of ours.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It cannot be stored.
    #[error("the inventory entry cannot be stored")]
    NotStored(#[source] StoreFault),
    /// Not now.
    #[error("not looked at in time")]
    Late,
}

/// What waits for people who exchange words with the vendor's administrators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// The vendor has to confirm the registration with these words, which are read out.
    Registration(Words),
    /// An approver has to confirm the entry with this digest, by typing its words.
    Entry(Digest),
}

/// What others see.
#[derive(Debug)]
struct Shared {
    admission: watch::Sender<Admission>,
    keys: watch::Sender<Arc<Keyring>>,
    registration: watch::Sender<Option<Arc<v1::Envelope>>>,
    awaited: watch::Sender<Option<Awaited>>,
    progress: watch::Receiver<Progress>,
    shown: Mutex<Shown>,
}

/// What people are told of it.
#[derive(Debug, Clone, Default)]
struct Shown {
    /// Digest of the entry that waits for its words.
    waiting: Option<Digest>,
    /// Of the entry in force.
    sequence: u64,
    expires: Option<UnixMillis>,
    /// Of the registration of keys that took the place of others.
    words: Option<Words>,
    /// Of the next keys.
    next_words: Option<Words>,
    /// Why the newest entry was not taken; empty if it was.
    refused: String,
}

enum Command {
    Offer(v1::Envelope, oneshot::Sender<Result<(), OfferError>>),
    Confirm(Box<Confirmation>, oneshot::Sender<Result<(), ConfirmError>>),
    Rotate(Who, oneshot::Sender<Result<(), RotateKeysError>>),
}

/// What a person said.
struct Confirmation {
    entry: Digest,
    words: Words,
    note: PersonText,
    by: Approver,
}

impl Entries {
    /// Whether requests are taken, now and later.
    pub fn admission(&self) -> watch::Receiver<Admission> {
        self.shared.admission.subscribe()
    }

    /// The keys in force and those before, now and later.
    pub fn keys(&self) -> watch::Receiver<Arc<Keyring>> {
        self.shared.keys.subscribe()
    }

    /// The registration of the next keys, for every broker until their entry is in force.
    pub fn registration(&self) -> watch::Receiver<Option<Arc<v1::Envelope>>> {
        self.shared.registration.subscribe()
    }

    /// What waits for people, now and later.
    pub fn awaited(&self) -> watch::Receiver<Option<Awaited>> {
        self.shared.awaited.subscribe()
    }

    /// When the entry in force expires.
    pub fn expires(&self) -> Option<UnixMillis> {
        self.shared.shown.lock().expires
    }

    /// What this replica is to its cluster.
    pub fn member(&self) -> Member {
        self.shared.progress.borrow().member
    }

    /// Takes an entry that a broker brought: the one in force again is no error.
    pub async fn offer(&self, entry: v1::Envelope) -> Result<(), OfferError> {
        self.ask(|reply| Command::Offer(entry, reply)).await.unwrap_or(Err(OfferError::Late))
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.commands.send(command(reply)).await.ok()?;
            answer.await.ok()
        };
        timeout(PATIENCE, asked).await.ok().flatten()
    }
}

#[tonic::async_trait]
impl EnrollmentDesk for Entries {
    fn view(&self) -> EnrollmentView {
        let open = *self.shared.admission.borrow() == Admission::Open;
        view::view(&self.shared.shown.lock().clone(), &self.shared.progress.borrow(), open)
    }

    fn waiting(&self) -> Option<Digest> {
        self.shared.shown.lock().waiting
    }

    async fn confirm(
        &self,
        entry: Digest,
        words: Words,
        note: PersonText,
        by: Approver,
    ) -> Result<(), ConfirmError> {
        let said = Box::new(Confirmation { entry, words, note, by });
        let late = || Err(ConfirmError::NotStored(Box::new(OfferError::Late)));
        self.ask(|reply| Command::Confirm(said, reply)).await.unwrap_or_else(late)
    }

    async fn rotate_keys(&self, by: Who) -> Result<(), RotateKeysError> {
        let late = || Err(RotateKeysError::NotStored(Box::new(OfferError::Late)));
        self.ask(|reply| Command::Rotate(by, reply)).await.unwrap_or_else(late)
    }
}

/// More than the audit log and a slow disk take together, less than whoever waits at the socket does.
const PATIENCE: Duration = Duration::from_secs(9);
