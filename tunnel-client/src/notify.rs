//! Tells the customer's people of requests by one outgoing webhook.
//!
//! Invariant: nobody waits for a receiver. One task of its own looks at the requests when their bell rings, keeps the
//! newest state of each, and sends one message at a time; down, slow or hostile receivers cost only that task's time.

mod client;
mod endpoint;
mod message;
mod queue;
mod secret;
mod slack;
mod source;

use std::{path::PathBuf, time::Duration};

use tokio::{sync::watch, time::Instant};
use tracing::{debug, info, warn};
use tunnel_certs::crypto;
use tunnel_protos::{ClusterName, Label, UnixMillis, approvers::WebhookStatus, v1::RequestState};
use tunnel_runtime::{chain, drain::Watch};
use tunnel_transport::backoff::Backoff;

pub use self::{client::SetupError, endpoint::Endpoint, secret::SecretError, source::Source};

use self::{client::Client, message::About, queue::Queue};
use crate::{
    clock,
    config::{WebhookConfig, WebhookFormat},
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
    events: Vec<RequestState>,
    format: WebhookFormat,
    state: watch::Sender<WebhookStatus>,
}

impl Webhook {
    /// Reads the secret and what to trust.
    pub fn new(config: &WebhookConfig, cluster: &ClusterName, label: Label) -> Result<Self, WebhookError> {
        let secret = secret::read(&config.secret_file);
        let secret = secret.map_err(|error| WebhookError::Secret(config.secret_file.clone(), error))?;
        let client = Client::new(config, secret).map_err(WebhookError::Setup)?;
        let shown = WebhookStatus { url: config.url.shown(), ..Default::default() };
        Ok(Self {
            client,
            about: About { cluster: cluster.clone(), label },
            events: config.events.iter().map(|event| event.0).collect(),
            format: config.format,
            state: watch::Sender::new(shown),
        })
    }

    /// How it goes, for the status.
    pub fn status(&self) -> watch::Receiver<WebhookStatus> {
        self.state.subscribe()
    }

    /// Tells until drained; whoever was not told by then is told after the next start.
    pub async fn run(self, source: impl Source, drain: Watch) {
        tokio::select! {
            () = drain.draining() => {}
            () = self.tell(source) => {}
        }
    }

    async fn tell(self, source: impl Source) {
        let Ok(mut backoff) = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE) else { return };
        let mut changes = source.changes();
        let mut queue = Queue::new(&self.events, &source.glimpses());
        let mut not_before = Instant::now();
        loop {
            changes.mark_unchanged();
            queue.look(&source.glimpses());
            self.waiting(queue.len());
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
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
    async fn next(&self, queue: &mut Queue, source: &impl Source) -> Told {
        let Some((id, state)) = queue.pop() else { return Told::Yes };
        // The newest view, so that what changed meanwhile is told as it is.
        let Some(view) = source.view(&id).filter(|view| view.state() == state) else { return Told::Yes };
        let now = clock::wall();
        let body = match self.format {
            WebhookFormat::CloudEvents => message::event(&view, &self.about, now),
            WebhookFormat::Slack => slack::message(&view, &self.about, now),
        };
        match self.client.send(&message::id(&view), body, self.format, now).await {
            Ok(()) => {
                self.succeeded(now);
                if state == RequestState::Pending {
                    source.notified(id, CUSTOMER.to_owned(), now).await;
                }
                Told::Yes
            }
            Err(error) => {
                self.failed(chain(&error).to_string());
                queue.again(id, state);
                Told::Nobody
            }
        }
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
