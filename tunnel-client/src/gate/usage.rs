//! What a grant has used of the limits that one rule sets; shared by all of its sessions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tunnel_protos::UnixMillis;

use super::status::Limit;
use crate::policy::Limits;

/// Counters of one grant under one rule.
#[derive(Debug, Default)]
pub(super) struct Usage {
    bytes: AtomicU64,
    open: AtomicU32,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    began: UnixMillis,
    calls: u32,
}

impl Usage {
    /// Counts a call as begun and open, or names the limit that is reached.
    pub(super) fn begin(self: &Arc<Self>, limits: &Limits, now: UnixMillis) -> Result<OpenCall, Limit> {
        self.check_bytes(limits)?;
        self.count_call(limits, now)?;
        let open = OpenCall(self.clone());
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        match limits.streams {
            Some(most) if before >= most => Err(Limit::Streams(most)),
            _ => Ok(open),
        }
    }

    /// Counts bytes from the engine; an error once there were more than the limit.
    pub(super) fn add_bytes(&self, limits: &Limits, count: usize) -> Result<(), Limit> {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        match limits.bytes {
            Some(most) if self.bytes.load(Ordering::Relaxed) > most => Err(Limit::Bytes(most)),
            _ => Ok(()),
        }
    }

    fn check_bytes(&self, limits: &Limits) -> Result<(), Limit> {
        match limits.bytes {
            Some(most) if self.bytes.load(Ordering::Relaxed) >= most => Err(Limit::Bytes(most)),
            _ => Ok(()),
        }
    }

    fn count_call(&self, limits: &Limits, now: UnixMillis) -> Result<(), Limit> {
        let Some(most) = limits.calls_per_minute else { return Ok(()) };
        let mut minute = self.minute.lock();
        let gone = now.0.abs_diff(minute.began.0);
        if gone >= MINUTE_MS {
            *minute = Minute { began: now, calls: 0 };
        }
        if minute.calls >= most {
            let again = Duration::from_millis(MINUTE_MS.saturating_sub(gone));
            return Err(Limit::CallsPerMinute { most, again });
        }
        minute.calls += 1;
        Ok(())
    }
}

/// One open call; dropping it ends the count.
#[derive(Debug)]
pub(super) struct OpenCall(Arc<Usage>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

const MINUTE_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(bytes: Option<u64>, calls_per_minute: Option<u32>, streams: Option<u32>) -> Limits {
        Limits { bytes, calls_per_minute, streams }
    }

    fn refused(began: Result<OpenCall, Limit>) -> Limit {
        began.map(drop).unwrap_err()
    }

    #[test]
    fn only_so_many_calls_are_open_at_once() {
        let (usage, two) = (Arc::new(Usage::default()), limits(None, None, Some(2)));
        let first = usage.begin(&two, UnixMillis(0)).unwrap();
        let _second = usage.begin(&two, UnixMillis(0)).unwrap();
        assert_eq!(refused(usage.begin(&two, UnixMillis(0))), Limit::Streams(2));
        drop(first);
        assert!(usage.begin(&two, UnixMillis(0)).is_ok());
    }

    #[test]
    fn only_so_many_calls_begin_in_a_minute() {
        let (usage, two) = (Arc::new(Usage::default()), limits(None, Some(2), None));
        let begin = |at| usage.begin(&two, UnixMillis(at)).map(drop);
        assert_eq!([begin(100_000), begin(110_000)], [Ok(()), Ok(())]);
        let again = Duration::from_secs(45);
        assert_eq!(begin(115_000), Err(Limit::CallsPerMinute { most: 2, again }));
        assert!(begin(159_999).is_err());
        assert_eq!(begin(160_000), Ok(()));
    }

    #[test]
    fn a_clock_set_back_does_not_freeze_the_minute() {
        let (usage, one) = (Arc::new(Usage::default()), limits(None, Some(1), None));
        assert!(usage.begin(&one, UnixMillis(1_000_000)).is_ok());
        assert!(usage.begin(&one, UnixMillis(10)).is_ok());
    }

    #[test]
    fn bytes_end_the_call_that_moves_them_and_every_later_one() {
        let (usage, ten) = (Arc::new(Usage::default()), limits(Some(10), None, None));
        assert!(usage.begin(&ten, UnixMillis(0)).is_ok());
        assert_eq!(usage.add_bytes(&ten, 10), Ok(()));
        assert_eq!(usage.add_bytes(&ten, 1), Err(Limit::Bytes(10)));
        assert_eq!(refused(usage.begin(&ten, UnixMillis(0))), Limit::Bytes(10));
    }
}
