//! Tells the customer's people of requests, and of an enrollment that waits for them, by one outgoing webhook.
//!
//! Invariant: nobody waits for a receiver. One task of its own looks at both when a bell rings, keeps the newest state
//! of each, and sends one message at a time; down, slow or hostile receivers cost only that task's time.

mod client;
mod endpoint;
mod enrollment;
mod message;
mod queue;
mod secret;
mod slack;
mod source;

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::watch::{self, error::RecvError},
    time::Instant,
};
use tracing::{debug, info, warn};
use tunnel_certs::crypto;
use tunnel_protos::{ClusterName, Label, UnixMillis, approvers::WebhookStatus, v1::RequestState};
use tunnel_runtime::{chain, drain::Watch};
use tunnel_transport::backoff::Backoff;

pub use self::{client::SetupError, endpoint::Endpoint, secret::SecretError, source::Source};

use self::{
    client::Client,
    message::About,
    queue::{Queue, Topic},
};
use crate::{
    clock,
    config::{WebhookConfig, WebhookEvent, WebhookFormat},
    enrollment::Awaited,
    mark::mark,
};

/// Why there is no webhook.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The shared secret.
    #[error("the webhook's secret {0}")]
    Secret(PathBuf, #[source] SecretError),
    /// What to trust of the receiver.
    #[error("the webhook's TLS")]
    Setup(#[source] SetupError),
}

/// A webhook that is set up and does not send yet.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
    about: About,
    events: Vec<WebhookEvent>,
    format: WebhookFormat,
    state: watch::Sender<WebhookStatus>,
}

impl Webhook {
    /// Reads the secret and what to trust.
    pub fn new(config: &WebhookConfig, cluster: &ClusterName, label: Label) -> Result<Self, WebhookError> {
        let seen = mark(&config.secret_file);
        let secret = secret::read(&config.secret_file);
        let secret = secret.map_err(|error| WebhookError::Secret(config.secret_file.clone(), error))?;
        let client = Client::new(config, secret, seen).map_err(WebhookError::Setup)?;
        let shown = WebhookStatus { url: config.url.shown(), ..Default::default() };
        Ok(Self {
            client,
            about: About { cluster: cluster.clone(), label },
            events: config.events.clone(),
            format: config.format,
            state: watch::Sender::new(shown),
        })
    }

    /// How it goes, for the status.
    pub fn status(&self) -> watch::Receiver<WebhookStatus> {
        self.state.subscribe()
    }

    /// Tells until drained; whoever was not told by then is told after the next start.
    pub async fn run(self, source: impl Source, awaited: watch::Receiver<Option<Awaited>>, drain: Watch) {
        tokio::select! {
            () = drain.draining() => {}
            () = self.tell(source, awaited) => {}
        }
    }

    async fn tell(mut self, source: impl Source, mut awaited: watch::Receiver<Option<Awaited>>) {
        let Ok(mut backoff) = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE) else { return };
        let mut changes = source.changes();
        let mut queue = Queue::new(&self.events, &source.glimpses());
        let mut not_before = Instant::now();
        loop {
            changes.mark_unchanged();
            let waits = *awaited.borrow_and_update();
            queue.look(&source.glimpses(), waits);
            self.waiting(queue.len());
            tokio::select! {
                rung = either(&mut changes, &mut awaited) => {
                    if rung.is_err() {
                        return;
                    }
                    // A bell that rings all the time costs one look per pace.
                    tokio::time::sleep(PACE).await;
                }
                () = tokio::time::sleep_until(not_before), if queue.len() > 0 => {
                    let pause = match self.next(&mut queue, &source).await {
                        Told::Yes => { backoff = fresh(backoff); Duration::ZERO }
                        Told::Nobody => backoff.next_delay(u64::from_le_bytes(crypto::random())).max(LEAST_PAUSE),
                    };
                    not_before = Instant::now() + pause;
                }
            }
        }
    }

    /// Sends the one message that waits longest; what failed goes to the end.
    async fn next(&mut self, queue: &mut Queue, source: &impl Source) -> Told {
        let (Some(topic), now) = (queue.pop(), clock::wall()) else { return Told::Yes };
        let Some((id, body)) = self.message(topic, source, now) else { return Told::Yes };
        self.client.refresh().await;
        match self.client.send(&id, body, self.format, now).await {
            Ok(()) => {
                self.succeeded(now);
                if let Topic::Request(id, RequestState::Pending) = topic {
                    source.notified(id, CUSTOMER.to_owned(), now).await;
                }
                Told::Yes
            }
            Err(error) => {
                self.failed(chain(&error).to_string());
                queue.again(topic);
                Told::Nobody
            }
        }
    }

    /// The message's id and body; none if it is not so any more.
    fn message(&self, topic: Topic, source: &impl Source, now: UnixMillis) -> Option<(String, Bytes)> {
        let about = &self.about;
        let view = match topic {
            Topic::Enrollment(awaited) => {
                let body = match self.format {
                    WebhookFormat::CloudEvents => enrollment::event(&awaited, about, now),
                    WebhookFormat::Slack => enrollment::text(&awaited, about),
                };
                return Some((enrollment::id(&awaited), body));
            }
            // The newest view, so that what changed meanwhile is told as it is.
            Topic::Request(id, state) => source.view(&id).filter(|view| view.state() == state)?,
        };
        let body = match self.format {
            WebhookFormat::CloudEvents => message::event(&view, about, now),
            WebhookFormat::Slack => slack::message(&view, about, now),
        };
        Some((message::id(&view), body))
    }

    fn waiting(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.state.send_if_modified(|state| std::mem::replace(&mut state.waiting, count) != count);
    }

    fn succeeded(&self, now: UnixMillis) {
        crate::metrics::webhook("delivered");
        let before = self.state.borrow().last_error.is_empty();
        if before {
            debug!("Webhook delivered");
        } else {
            info!("Webhook delivers again");
        }
        self.state.send_modify(|state| {
            state.last_success_ms = now.0;
            state.last_error.clear();
        });
    }

    fn failed(&self, error: String) {
        crate::metrics::webhook("failed");
        if self.state.borrow().last_error != error {
            warn!(error, "Webhook not delivered, it is tried again");
        }
        self.state.send_modify(|state| state.last_error = error);
    }
}

/// Whichever rings first.
async fn either<A, B>(one: &mut watch::Receiver<A>, other: &mut watch::Receiver<B>) -> Result<(), RecvError> {
    tokio::select! {
        rung = one.changed() => rung,
        rung = other.changed() => rung,
    }
}

/// What became of one message.
enum Told {
    /// It arrived, or there was nothing left to tell.
    Yes,
    /// It did not arrive.
    Nobody,
}

/// A delivery forgives all failures before it.
fn fresh(backoff: Backoff) -> Backoff {
    Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).unwrap_or(backoff)
}

/// Soon enough for people.
const PACE: Duration = Duration::from_millis(250);
/// Who is said to have been told.
const CUSTOMER: &str = "customer";
/// The first failure may be a mere hiccup.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// People who wait for a message notice within minutes that the receiver is well again.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Full jitter may come close to none.
const LEAST_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
