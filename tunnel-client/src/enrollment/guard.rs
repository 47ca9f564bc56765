//! How often words may be wrong: they stand for a comparison between two people, so nobody may try them out.

use std::time::Duration;

use tokio::time::Instant;

/// Wrong words so far; the guard opens again as time goes by.
#[derive(Debug)]
pub(super) struct Guard {
    wrong: u32,
    since: Instant,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self { wrong: 0, since: Instant::now() }
    }

    /// How long to wait before the next try; none if there may be one now.
    pub(super) fn wait(&mut self) -> Option<Duration> {
        let forgiven = u32::try_from(self.since.elapsed().as_secs() / EACH.as_secs()).unwrap_or(u32::MAX);
        if forgiven > 0 {
            self.wrong = self.wrong.saturating_sub(forgiven);
            self.since += EACH * forgiven;
        }
        (self.wrong >= MOST).then(|| EACH.saturating_sub(self.since.elapsed()))
    }

    /// Words were wrong.
    pub(super) fn count(&mut self) {
        if self.wrong == 0 {
            self.since = Instant::now();
        }
        self.wrong += 1;
    }
}

/// Mishearings of a person.
const MOST: u32 = 5;
/// 88 bits at this pace outlast everything.
const EACH: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_tries_then_one_a_minute() {
        let mut guard = Guard::new();
        tokio::time::advance(Duration::from_secs(3600)).await;
        for _ in 0..MOST {
            assert_eq!(guard.wait(), None);
            guard.count();
        }
        assert_eq!(guard.wait(), Some(EACH));
        tokio::time::advance(EACH).await;
        assert_eq!(guard.wait(), None);
        guard.count();
        assert_eq!(guard.wait(), Some(EACH));
        tokio::time::advance(EACH * 100).await;
        assert_eq!((guard.wait(), guard.wrong), (None, 0));
    }
}
