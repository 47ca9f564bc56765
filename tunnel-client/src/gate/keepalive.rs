//! Is the peer of an HTTP/2 connection still there? Asked by pings, so that a silent stream may stay silent.

use std::{future::pending, time::Duration};

use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

/// Resolves when the peer did not answer a ping in time; `first` is the time until the first one.
pub(super) async fn watch(ping: Option<PingPong>, first: Duration) {
    let Some(mut ping) = ping else { return pending().await };
    sleep(first).await;
    loop {
        match timeout(ANSWER, ping.ping(Ping::opaque())).await {
            Ok(Ok(_)) => sleep(INTERVAL).await,
            // The connection is over; whoever drives it knows.
            Ok(Err(_)) => return pending().await,
            Err(_) => return,
        }
    }
}

/// Between pings: a dead peer holds a session no longer than this and [`ANSWER`].
pub(super) const INTERVAL: Duration = Duration::from_secs(20);

/// For the answer: a path that is slower is of no use.
const ANSWER: Duration = Duration::from_secs(10);
