//! Deliveries that proved no operator: counted each, logged at most once a minute, since a broker can make any number.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;
use tunnel_runtime::chain;

use crate::metrics;

/// Counts and samples.
#[derive(Debug, Default)]
pub(super) struct Unproven {
    silent: u64,
    logged: Option<Instant>,
}

impl Unproven {
    /// Counts one; whether it was logged.
    pub(super) fn count(&mut self, error: &(dyn std::error::Error + 'static)) -> bool {
        metrics::unproven();
        let quiet = self.logged.is_some_and(|last| last.elapsed() < EVERY);
        if quiet {
            self.silent += 1;
            return false;
        }
        warn!(error = %chain(error), since_last = self.silent, "Delivery proved no operator");
        *self = Self { silent: 0, logged: Some(Instant::now()) };
        true
    }
}

/// Seldom enough for any log, often enough to be seen.
const EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn unproven_failures_are_sampled_not_logged_one_by_one() {
        let mut unproven = Unproven::default();
        let error = std::fmt::Error;
        assert!(unproven.count(&error));
        assert!((0..10_000).all(|_| !unproven.count(&error)));
        tokio::time::advance(EVERY).await;
        assert!(unproven.count(&error));
    }
}
