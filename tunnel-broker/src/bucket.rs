//! A token bucket: so much at once, so much per second. Pure, fed with the time.

use std::time::Duration;

use tokio::time::Instant;

/// How much may be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// In the long run.
    pub(crate) per_second: f64,
    /// At once, after a rest.
    pub(crate) burst: f64,
}

/// What is left of a rate for one user of it.
#[derive(Debug)]
pub(crate) struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// Nothing is used yet.
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, at: now }
    }

    /// Takes one, or says how long there will be none.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.left = self.saved(rate, now);
        self.at = now;
        if self.left < 1.0 {
            // Without any rate, never.
            let wait = Duration::try_from_secs_f64((1.0 - self.left) / rate.per_second);
            return Err(wait.unwrap_or(Duration::MAX));
        }
        self.left -= 1.0;
        Ok(())
    }

    /// Whether it is as if it were new.
    pub(crate) fn is_full(&self, rate: Rate, now: Instant) -> bool {
        self.saved(rate, now) >= rate.burst
    }

    fn saved(&self, rate: Rate, now: Instant) -> f64 {
        rate.burst.min(self.left + rate.per_second * (now - self.at).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 2.0, burst: 3.0 };

    #[test]
    fn a_burst_passes_and_the_rest_is_told_how_long_to_wait() {
        let now = Instant::now();
        let mut bucket = Bucket::new(RATE, now);
        assert!((0..3).all(|_| bucket.take(RATE, now).is_ok()));
        let wait = bucket.take(RATE, now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert!(bucket.take(RATE, now + wait).is_ok());
    }

    #[test]
    fn a_rate_of_nothing_gives_nothing() {
        let (now, none) = (Instant::now(), Rate { per_second: 0.0, burst: 0.0 });
        assert_eq!(Bucket::new(none, now).take(none, now), Err(Duration::MAX));
    }

    #[test]
    fn rest_saves_up_no_more_than_a_burst() {
        let now = Instant::now();
        let mut bucket = Bucket::new(RATE, now);
        let later = now + Duration::from_secs(3600);
        assert!((0..3).all(|_| bucket.take(RATE, later).is_ok()));
        assert!(bucket.take(RATE, later).is_err());
    }
}
