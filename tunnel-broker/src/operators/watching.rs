//! A watch as a stream of gRPC messages. It ends with the drain, or after its longest life: the caller watches again.

use futures_util::{Stream, stream};
use tokio::time::{Duration, Instant, sleep_until};
use tonic::Status;
use tunnel_protos::operators::{WatchRequestEvent, watch_request_event::Event};
use tunnel_runtime::drain;

use super::{place::Place, status::CallError};
use crate::mailbox::watch::{News, Watch};

struct Watching {
    watch: Watch,
    drain: drain::Watch,
    until: Instant,
    _place: Place,
}

/// The events of `watch`.
pub(super) fn events(
    watch: Watch,
    place: Place,
    drain: drain::Watch,
) -> impl Stream<Item = Result<WatchRequestEvent, Status>> + Send {
    let watching = Watching { watch, drain, until: Instant::now() + LIFE, _place: place };
    stream::unfold(Some(watching), |watching| async move {
        let mut watching = watching?;
        match watching.next().await {
            Some(Ok(news)) => Some((Ok(event(news)), Some(watching))),
            Some(Err(error)) => Some((Err(error.into()), None)),
            None => None,
        }
    })
}

impl Watching {
    async fn next(&mut self) -> Option<Result<News, CallError>> {
        tokio::select! {
            news = self.watch.next() => Some(news.map_err(CallError::Watch)),
            () = self.drain.draining() => Some(Err(CallError::Draining)),
            () = sleep_until(self.until) => None,
        }
    }
}

fn event(news: News) -> WatchRequestEvent {
    let event = match news {
        News::Delivery(delivery) => Event::Delivery(delivery.into()),
        News::Outcome(outcome) => Event::Outcome(outcome),
    };
    WatchRequestEvent { event: Some(event) }
}

/// Longer than people wait for an approval at a stretch; an abandoned watch ends.
const LIFE: Duration = Duration::from_secs(3600);
