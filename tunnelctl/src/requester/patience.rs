//! How long a command waits, and what cuts it short.

use std::{fmt, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::time::{Instant, sleep_until};

use super::wait::Event;

/// The person's wish to stop, shared by all that waits.
pub type Interrupt = Shared<BoxFuture<'static, ()>>;

/// An interruption out of whatever tells it.
pub fn interrupt(wish: BoxFuture<'static, ()>) -> Interrupt {
    wish.shared()
}

/// How long to wait, and what cuts the waiting short.
#[derive(Clone)]
pub struct Patience {
    until: Instant,
    interrupt: Interrupt,
}

impl Patience {
    /// Waits for `time`, unless `interrupt` comes first.
    pub fn new(time: Duration, interrupt: Interrupt) -> Self {
        Self { until: Instant::now() + time, interrupt }
    }

    /// The same, for `time` at most.
    pub fn at_most(&self, time: Duration) -> Self {
        Self { until: self.until.min(Instant::now() + time), interrupt: self.interrupt.clone() }
    }

    /// Whether nothing is left of it.
    pub fn is_over(&self) -> bool {
        self.interrupt.peek().is_some() || Instant::now() >= self.until
    }

    /// Does `work` as long as patience lasts.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T, Event> {
        tokio::select! {
            biased;
            () = self.interrupt.clone() => Err(Event::Interrupted),
            () = sleep_until(self.until) => Err(Event::TimeUp),
            done = work => Ok(done),
        }
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience").field("until", &self.until).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_in_time() {
        let patience = Patience::new(Duration::from_secs(60), interrupt(Box::pin(std::future::pending())));
        assert!(!patience.is_over());
        assert!(matches!(patience.during(std::future::pending::<()>()).await, Err(Event::TimeUp)));
        assert!(patience.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn an_interruption_ends_every_share_of_it() {
        let patience = Patience::new(Duration::from_secs(60), interrupt(Box::pin(std::future::ready(()))));
        let part = patience.at_most(Duration::from_secs(1));
        assert!(matches!(part.during(std::future::pending::<()>()).await, Err(Event::Interrupted)));
        assert!(patience.is_over());
    }
}
