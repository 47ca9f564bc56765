//! While the disk does not take it: who is refused, what is kept for later, and what still goes through.

use std::mem;

use super::Writer;
use crate::audit::{
    Unwritable,
    disk::Disk,
    queue::{Body, Dropped, Item},
};

impl<D: Disk> Writer<D> {
    /// Refuses whoever waits for what is no emergency, and keeps no more notes than the queue would.
    pub(super) fn refuse(&mut self) {
        let (mut dropped, mut notes) = (None, 0);
        for item in mem::take(&mut self.waiting) {
            if item.is_urgent() && !item.is_emergency() {
                // Nothing was written of it, so nobody needs to know who is gone.
                let _ = Item::tell(item.asker, Err(Unwritable));
            } else if notes >= item.most() {
                Dropped::add(&mut dropped, item.time);
            } else {
                notes += 1;
                self.waiting.push(item);
            }
        }
        self.waiting.extend(dropped.map(Dropped::record));
    }

    /// Gives the reserve up for what a person did to close something.
    pub(super) async fn write_emergencies(&mut self) {
        let waiting = mem::take(&mut self.waiting);
        let (urgent, rest): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|item| item.is_emergency() || matches!(item.body, Body::Own(_)));
        if urgent.iter().any(Item::is_emergency) {
            self.reserve.release();
            self.waiting = urgent;
            self.write_at_once().await;
        } else {
            self.waiting = urgent;
        }
        self.waiting.extend(rest);
    }

    async fn write_at_once(&mut self) {
        let written = match self.rewind().and_then(|()| self.write()) {
            Ok(()) => self.sync().await,
            Err(error) => Err(error),
        };
        if written.is_err() {
            // Not even now: whoever waits is told, and notes it for later.
            for (_, item) in mem::take(&mut self.written) {
                if item.is_urgent() {
                    let _ = Item::tell(item.asker, Err(Unwritable));
                } else {
                    self.waiting.push(item);
                }
            }
        }
    }
}
