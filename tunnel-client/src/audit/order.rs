//! Which record each line of a log is, as the lines are read: damage to one does not hide whether others are missing.

use super::line::{Line, LineHash};

/// How far a log was followed.
#[derive(Debug)]
pub(super) struct Order {
    /// The least that the next record can be.
    pub(super) next: u64,
    prev: Option<LineHash>,
    /// Bytes of unreadable lines since the last record that could be read.
    unread: u64,
}

/// This record does not follow: others are missing before it, or it is out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfOrder(pub(super) u64);

impl Order {
    /// Begins with the record `first`.
    pub(super) fn new(first: u64) -> Self {
        Self { next: first, prev: None, unread: 0 }
    }

    /// The record that the next line is; none if it is damaged such that it does not say so.
    pub(super) fn place(&mut self, raw: &[u8]) -> Result<Option<u64>, OutOfOrder> {
        let before = self.prev.replace(LineHash::of(raw));
        let Some(line) = Line::parse(raw) else {
            self.unread += raw.len() as u64 + 1;
            return Ok(None);
        };
        // Damaged line breaks make one line of several, so that only the room for the missing ones can be counted.
        let missing = line.seq.checked_sub(self.next);
        let is_next = missing.is_some_and(|missing| missing.saturating_mul(SHORTEST) <= self.unread);
        let is_damaged = !is_next && self.unread == 0 && before == Some(line.prev);
        let seq = if is_damaged { self.next } else { line.seq };
        (self.next, self.unread) = (seq.saturating_add(1), 0);
        match (is_next, is_damaged) {
            (true, _) => Ok(Some(seq)),
            (_, true) => Ok(None),
            _ => Err(OutOfOrder(seq)),
        }
    }
}

/// No record is shorter: its number, time, kind, and the hash of the one before.
const SHORTEST: u64 = 110;
