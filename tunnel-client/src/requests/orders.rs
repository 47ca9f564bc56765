//! Orders of the customer that hold until they are lifted: the pause, denied operators, approvals that were used.
//!
//! Memory is the truth: what tightens is here first and on disk after; what loosens is on disk first.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use tokio::sync::watch;
use tunnel_protos::{Digest, OperatorName, UnixMillis, v1};

use super::{
    pause::{Pause, PauseState},
    record::{Revocation, Verdict},
};
use crate::approvers::Signed;

/// The orders in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Orders {
    pub(super) pause: Option<Pause>,
    /// How often somebody asked for a pause since the start; what was asked for after a resume is not lifted by it.
    pub(super) asked: u64,
    pub(super) denied: BTreeMap<OperatorName, Denied>,
    /// Signed approvals, until when each could be fresh.
    pub(super) used: HashMap<Digest, UnixMillis>,
}

/// Since when an operator is denied, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) since: UnixMillis,
    pub(super) who: String,
    pub(super) note: String,
}

impl Denied {
    /// As the no to a pending request of the operator.
    pub(super) fn verdict(&self, now: UnixMillis) -> Verdict {
        let (who, note) = (self.who.clone(), self.note.clone());
        Verdict { who, answer: v1::Answer::No, time: now, note, proof: None, void: false }
    }

    /// As the end of a live grant of the operator.
    pub(super) fn revocation(&self) -> Revocation {
        Revocation { who: self.who.clone(), note: self.note.clone() }
    }
}

impl Orders {
    /// The pause in force from now on: an earlier one stays as it is.
    pub(super) fn ask_for(&mut self, pause: Pause) -> Pause {
        self.asked += 1;
        self.pause.get_or_insert(pause).clone()
    }

    /// Remembers that an approval was used, and forgets those that are too old to be used again.
    pub(super) fn spend(&mut self, signed: Option<&Signed>, now: UnixMillis) {
        self.used.retain(|_, forget_after| *forget_after >= now);
        self.used.extend(signed.map(|signed| (signed.digest, signed.forget_after)));
    }
}

/// The orders as everybody sees them, and how far the disk has followed.
#[derive(Debug, Default)]
pub(super) struct Standing {
    kept: Mutex<Kept>,
    paused: watch::Sender<Option<Pause>>,
}

#[derive(Debug, Default)]
struct Kept {
    orders: Orders,
    change: u64,
    stored: u64,
}

impl Standing {
    /// What was stored before.
    pub(super) fn load(&self, orders: Orders) {
        let mut kept = self.kept.lock();
        kept.orders = orders;
        self.paused.send_replace(kept.orders.pause.clone());
    }

    /// Changes the orders, at once for everybody.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Orders) -> T) -> T {
        let mut kept = self.kept.lock();
        let changed = change(&mut kept.orders);
        kept.change += 1;
        self.publish(&kept.orders);
        changed
    }

    /// Looks at the orders.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Orders) -> T) -> T {
        look(&self.kept.lock().orders)
    }

    /// A write failed, so that the disk may hold anything: what is in force goes there again.
    pub(super) fn doubt(&self) {
        let mut kept = self.kept.lock();
        kept.change += 1;
        kept.orders.pause.iter_mut().for_each(|pause| pause.stored = false);
        self.publish(&kept.orders);
    }

    /// What the disk does not hold yet, with the number of the last change in it.
    pub(super) fn unstored(&self) -> Option<(u64, Orders)> {
        let kept = self.kept.lock();
        (kept.change > kept.stored).then(|| (kept.change, kept.orders.clone()))
    }

    /// The disk holds everything up to this change.
    pub(super) fn stored(&self, change: u64) {
        let mut kept = self.kept.lock();
        kept.stored = kept.stored.max(change);
        if kept.stored == kept.change {
            kept.orders.pause.iter_mut().for_each(|pause| pause.stored = true);
            self.publish(&kept.orders);
        }
    }

    pub(super) fn paused(&self) -> PauseState {
        self.paused.subscribe()
    }

    fn publish(&self, orders: &Orders) {
        self.paused.send_if_modified(|seen| {
            let news = *seen != orders.pause;
            seen.clone_from(&orders.pause);
            news
        });
    }
}
