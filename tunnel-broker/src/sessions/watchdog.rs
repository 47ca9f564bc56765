//! Whether a session still lives: pure, fed with counters and the time. Cheap on the way of bytes: two atomics.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// What one direction of a session did so far.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    bytes: AtomicU64,
    writing: AtomicBool,
}

/// Why a session is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing moved for too long.
    Idle,
    /// A reader takes nothing of what is there for it.
    Stalled,
}

/// Judges one session.
#[derive(Debug)]
pub(crate) struct Watchdog {
    idle: Duration,
    stalled: Duration,
    seen: [(u64, Instant); 2],
}

impl Flow {
    /// Bytes wait to be written.
    pub(crate) fn begin(&self) {
        self.writing.store(true, Ordering::Relaxed);
    }

    /// They were written.
    pub(crate) fn done(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.writing.store(false, Ordering::Relaxed);
    }

    /// Bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Watchdog {
    /// Begins to watch.
    pub(crate) fn new(idle: Duration, stalled: Duration, now: Instant) -> Self {
        Self { idle, stalled, seen: [(0, now); 2] }
    }

    /// How often to look: late by a quarter at most.
    pub(crate) fn interval(&self) -> Duration {
        (self.idle.min(self.stalled) / 4).max(Duration::from_millis(10))
    }

    /// Looks; gives the bytes that each direction moved since the last look, and the verdict if it is over.
    pub(crate) fn look(&mut self, flows: &[Flow; 2], now: Instant) -> ([u64; 2], Option<Verdict>) {
        let mut moved = [0; 2];
        for ((flow, seen), moved) in flows.iter().zip(&mut self.seen).zip(&mut moved) {
            let bytes = flow.bytes();
            *moved = bytes - seen.0;
            if *moved > 0 {
                *seen = (bytes, now);
            }
        }
        (moved, self.verdict(flows, now))
    }

    fn verdict(&self, flows: &[Flow; 2], now: Instant) -> Option<Verdict> {
        let rest = |direction: usize| now - self.seen[direction].1;
        let stalled = |d: usize| flows[d].writing.load(Ordering::Relaxed) && rest(d) >= self.stalled;
        if stalled(0) || stalled(1) {
            return Some(Verdict::Stalled);
        }
        (rest(0).min(rest(1)) >= self.idle).then_some(Verdict::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(100);
    const STALLED: Duration = Duration::from_secs(10);

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_session_without_bytes_ends_as_idle() {
        let (start, flows) = (Instant::now(), Default::default());
        let mut watchdog = Watchdog::new(IDLE, STALLED, start);
        assert_eq!(watchdog.look(&flows, at(start, 99)).1, None);
        assert_eq!(watchdog.look(&flows, at(start, 100)).1, Some(Verdict::Idle));
    }

    #[test]
    fn one_busy_direction_keeps_the_session() {
        let (start, flows): (_, [Flow; 2]) = (Instant::now(), Default::default());
        let mut watchdog = Watchdog::new(IDLE, STALLED, start);
        for step in 1..10 {
            flows[1].done(7);
            assert_eq!(watchdog.look(&flows, at(start, step * 60)), ([0, 7], None));
        }
    }

    #[test]
    fn a_reader_that_takes_nothing_stalls_the_session() {
        let (start, flows): (_, [Flow; 2]) = (Instant::now(), Default::default());
        let mut watchdog = Watchdog::new(IDLE, STALLED, start);
        flows[1].done(7);
        watchdog.look(&flows, at(start, 1));
        flows[1].begin();
        assert_eq!(watchdog.look(&flows, at(start, 10)).1, None);
        assert_eq!(watchdog.look(&flows, at(start, 11)).1, Some(Verdict::Stalled));
        flows[1].done(7);
        assert_eq!(watchdog.look(&flows, at(start, 12)).1, None);
    }
}
