//! Requests: open → verify → decide → grant → certificate, and what ends a grant.
//!
//! Pure core (`state`, `record`, `book`, `judge`), one task that acts on it (`clerk`). Invariant: nothing leaves,
//! and no gate opens, before the transition that allows it is stored; what closes takes effect at once.

mod answer;
mod book;
mod clerk;
mod clock;
mod codec;
mod handle;
mod judge;
mod outbox;
mod record;
mod room;
mod state;
mod unproven;
mod view;

pub use self::{
    book::{AdmitError, MAX_PENDING, MAX_REMEMBERED},
    clerk::{Clerk, OpenError, Settings},
    clock::{Clock, SystemWall, Wall},
    codec::DecodeError,
    handle::Requests,
    record::{Access, Deadlines, Record, Revocation, SKEW, Subject, TOMBSTONE, TransitionError},
    room::{Admission, Room},
    state::{Event, State},
};

use parking_lot::RwLock;
use tunnel_protos::RequestId;

use crate::gate::grants::{GrantsView, GrantsWriter};

/// What the clerk writes and its handles read.
#[derive(Debug)]
struct Shared {
    book: RwLock<book::Book>,
    outbox: outbox::Outbox,
    grants: GrantsWriter,
    view: GrantsView,
    clock: Clock,
}

impl Shared {
    fn record(&self, id: &RequestId) -> Option<Record> {
        self.book.read().get(id).cloned()
    }
}

#[cfg(test)]
mod tests;
