//! Requests: open → verify → decide → grant → certificate, and what ends a grant.
//!
//! Pure core (`state`, `record`, `book`, `judge`), one task that acts on it (`clerk`). Invariant: nothing leaves,
//! and no gate opens, before the transition that allows it is stored; what closes takes effect at once.

mod answer;
mod book;
mod clerk;
mod codec;
mod customer;
mod handle;
mod judge;
mod keyring;
mod office;
mod orders;
mod outbox;
mod pause;
mod record;
mod room;
mod state;
mod unproven;
mod view;
mod word;

pub use self::{
    book::{AdmitError, MAX_PENDING, MAX_REMEMBERED},
    clerk::{Clerk, OpenError, Settings},
    codec::DecodeError,
    handle::Requests,
    keyring::{KeyPair, Keyring},
    pause::{Pause, PauseState},
    record::{
        Access, Deadlines, Notice, Operating, Proof, Record, Revocation, SKEW, Subject, TOMBSTONE,
        TransitionError, Verdict,
    },
    room::{Admission, Operators, Room},
    state::{Event, State},
    view::Glimpse,
};

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;
use tunnel_protos::RequestId;

use crate::{
    clock::Clock,
    gate::grants::{GrantsView, GrantsWriter},
    operations,
    policy::Policy,
};

/// What the clerk writes and its handles read.
#[derive(Debug)]
struct Shared {
    book: RwLock<book::Book>,
    outbox: outbox::Outbox,
    grants: GrantsWriter,
    view: GrantsView,
    clock: Clock,
    standing: orders::Standing,
    policy: watch::Receiver<Arc<Policy>>,
    changes: watch::Sender<u64>,
    desk: operations::Desk,
}

impl Shared {
    fn record(&self, id: &RequestId) -> Option<Record> {
        self.book.read().get(id).cloned()
    }
}

#[cfg(test)]
mod tests;
