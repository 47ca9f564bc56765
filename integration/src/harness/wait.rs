//! The one wait of harness, demo and benches: on state, bounded.

use std::{fmt::Display, future::Future, time::Duration};

use anyhow::{Result, anyhow};
use tokio::time::{Instant, sleep, timeout_at};

/// Tries `attempt` until it succeeds; after `limit`, fails with `what` and the last failure.
pub async fn until<T, E: Display, F: Future<Output = Result<T, E>>>(
    what: &str,
    limit: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let end = Instant::now() + limit;
    let mut last = String::from("no attempt ended");
    while let Ok(outcome) = timeout_at(end, attempt()).await {
        match outcome {
            Ok(reached) => return Ok(reached),
            Err(error) => last = format!("{error:#}"),
        }
        if Instant::now() >= end {
            break;
        }
        sleep(INTERVAL).await;
    }
    Err(anyhow!("not within {limit:?}: {what}: {last}"))
}

/// Short beside any bound in use, long beside the cost of asking.
const INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_until_an_attempt_succeeds() {
        let mut left = 3;
        let reached = until("three", Duration::from_secs(1), || {
            left -= 1;
            let outcome = if left == 0 { Ok("reached") } else { Err("early") };
            async move { outcome }
        });
        assert_eq!(reached.await.unwrap(), "reached");
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_with_the_last_failure() {
        let never = until("never", Duration::from_secs(1), || async { Err::<(), _>("still not") });
        let error = never.await.unwrap_err().to_string();
        assert!(error.contains("never") && error.contains("still not"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_cut() {
        let hang = until("hang", Duration::from_secs(1), std::future::pending::<Result<(), String>>);
        assert!(hang.await.is_err());
    }
}
