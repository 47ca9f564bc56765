//! The one wait of tests: on state, bounded.

use std::{future::Future, time::Duration};

/// Asks `reached` again and again until it says yes; panics with `what` after `limit`.
#[expect(clippy::panic, reason = "only tests use it")]
pub async fn eventually<F: Future<Output = bool>>(
    what: &str,
    limit: Duration,
    mut reached: impl FnMut() -> F,
) {
    let poll = async {
        while !reached().await {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    if tokio::time::timeout(limit, poll).await.is_err() {
        panic!("not within {limit:?}: {what}");
    }
}

/// Short beside any bound a test would use, long beside the cost of asking.
const INTERVAL: Duration = Duration::from_millis(10);
