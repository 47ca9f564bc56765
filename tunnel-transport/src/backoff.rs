//! Time between attempts: exponential with full jitter, capped, forgiven only after a healthy minute.
//!
//! Pure: randomness and elapsed time come from the caller.

use std::time::Duration;

/// How long a connection must have been healthy before earlier failures are forgiven; a peer that accepts and
/// drops at once would otherwise be dialed at the pace of the first attempt.
pub const HEALTHY: Duration = Duration::from_secs(60);

/// Bounds that make no backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackoffError {
    /// The first bound is zero: attempts would come without a pause.
    #[error("the first bound of a backoff is more than zero")]
    Zero,
    /// The cap is below the first bound.
    #[error("the cap of a backoff is not below its first bound")]
    Cap,
}

/// The state of one series of attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Delays are below `first` after the first failure, then below twice that, up to `cap`.
    pub fn new(first: Duration, cap: Duration) -> Result<Self, BackoffError> {
        match (first.is_zero(), cap < first) {
            (true, _) => Err(BackoffError::Zero),
            (_, true) => Err(BackoffError::Cap),
            _ => Ok(Self { first, cap, failures: 0 }),
        }
    }

    /// The delay after one more failure, chosen by `random` (uniform over all of `u64`).
    pub fn next_delay(&mut self, random: u64) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        let share = (u128::from(random) * bound.as_nanos()) >> 64;
        Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// A connection ended after having been healthy for `healthy`.
    pub fn lived(&mut self, healthy: Duration) {
        if healthy >= HEALTHY {
            self.failures = 0;
        }
    }

    /// What the next delay is below.
    pub fn bound(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn is_checked_when_made() {
        assert_eq!(Backoff::new(Duration::ZERO, CAP).unwrap_err(), BackoffError::Zero);
        assert_eq!(Backoff::new(CAP, FIRST).unwrap_err(), BackoffError::Cap);
    }

    #[test]
    fn is_forgiven_only_after_a_healthy_minute() {
        let mut backoff = Backoff::new(FIRST, CAP).unwrap();
        for _ in 0..3 {
            backoff.next_delay(0);
        }
        backoff.lived(HEALTHY - Duration::from_millis(1));
        assert_eq!(backoff.bound(), FIRST * 8);
        backoff.lived(HEALTHY);
        assert_eq!(backoff.bound(), FIRST);
    }

    #[test]
    fn jitter_is_full() {
        let mut backoff = Backoff::new(FIRST, FIRST).unwrap();
        assert_eq!(backoff.next_delay(0), Duration::ZERO);
        assert_eq!(backoff.next_delay(u64::MAX / 2 + 1), FIRST / 2);
    }

    proptest! {
        #[test]
        fn no_delay_reaches_its_bound_or_the_cap(randoms in prop::collection::vec(any::<u64>(), 1..100)) {
            let mut backoff = Backoff::new(FIRST, CAP).unwrap();
            for random in randoms {
                let bound = backoff.bound();
                prop_assert!(bound <= CAP);
                prop_assert!(backoff.next_delay(random) < bound);
                prop_assert!(backoff.bound() >= bound);
            }
        }
    }
}
