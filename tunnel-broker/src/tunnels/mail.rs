//! The mail of one tunnel: what it sent about requests is stored, as fast as its cluster may have things written;
//! what waits for it is fetched; one database call at a time. Without a task of its own; at rest it holds no buffer.
//! A full queue drops, and the replica repeats.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc};

use tracing::warn;
use tunnel_protos::{
    EnvelopeId, Label,
    v1::{Received, ReceivedStatus, SealedOutcome, SealedRequest},
};
use tunnel_runtime::chain;

use crate::{
    clock,
    mailbox::{Mailbox, deliveries::Deliveries, sealed::Outcome},
    metrics,
    store::{StoreError, outcomes::Kept},
};

/// Something that a replica sent, with the id to acknowledge.
#[derive(Debug)]
pub(super) enum Job {
    /// What became of a delivery.
    Received(u64, Received),
    /// An outcome.
    Outcome(u64, SealedOutcome),
}

impl Job {
    /// The id to acknowledge.
    pub(super) const fn id(&self) -> u64 {
        match self {
            Self::Received(id, _) | Self::Outcome(id, _) => *id,
        }
    }
}

/// What to do next on the tunnel.
#[derive(Debug)]
pub(super) enum Effect {
    /// Acknowledge this id.
    Handled(u64),
    /// Send these.
    Deliver(Vec<(EnvelopeId, SealedRequest)>),
    /// Nothing: it failed, and the other side will repeat.
    None,
}

/// The mail of one tunnel.
pub(super) struct Mail {
    label: Label,
    mailbox: Arc<Mailbox>,
    queue: VecDeque<Job>,
    work: Work,
}

/// Deliveries are lent to the call that runs.
enum Work {
    Rests(Deliveries),
    Runs(Pin<Box<dyn Future<Output = (Deliveries, Effect)> + Send>>),
    /// Only between two states.
    Moves,
}

impl Mail {
    /// The mail of a replica of `label` that takes requests.
    pub(super) fn new(mailbox: Arc<Mailbox>, label: Label) -> Self {
        let work = Work::Rests(mailbox.deliveries(label));
        Self { label, mailbox, queue: VecDeque::new(), work }
    }

    /// Queues a job unless the queue is full.
    pub(super) fn push(&mut self, job: Job) {
        if self.queue.len() < QUEUE {
            self.queue.push_back(job);
        } else {
            metrics::refused(metrics::Queue::Mail);
        }
    }

    /// Works on until something is to be done on the tunnel. Safe to cancel.
    pub(super) async fn next(&mut self) -> Effect {
        if let Work::Rests(deliveries) = &self.work {
            let may_write = async {
                match self.queue.is_empty() {
                    true => std::future::pending().await,
                    false => self.mailbox.allowed(self.label).await,
                }
            };
            let job = tokio::select! {
                () = may_write => self.queue.pop_front(),
                () = deliveries.due() => None,
            };
            self.start(job);
        }
        let Work::Runs(call) = &mut self.work else { return Effect::None };
        let (deliveries, effect) = call.as_mut().await;
        self.work = Work::Rests(deliveries);
        effect
    }

    /// A request could not be handed to the tunnel; it will be tried again.
    pub(super) fn not_sent(&mut self, id: EnvelopeId) {
        if let Work::Rests(deliveries) = &mut self.work {
            deliveries.answered(id, ReceivedStatus::Full);
        }
    }

    fn start(&mut self, job: Option<Job>) {
        self.work = match std::mem::replace(&mut self.work, Work::Moves) {
            Work::Rests(deliveries) => {
                Work::Runs(Box::pin(call(Arc::clone(&self.mailbox), self.label, deliveries, job)))
            }
            other => other,
        };
    }
}

async fn call(
    mailbox: Arc<Mailbox>,
    label: Label,
    mut deliveries: Deliveries,
    job: Option<Job>,
) -> (Deliveries, Effect) {
    let done = match job {
        Some(Job::Received(id, received)) => {
            note_received(&mailbox, label, &mut deliveries, &received).await.map(|()| Effect::Handled(id))
        }
        Some(Job::Outcome(id, sealed)) => {
            keep_outcome(&mailbox, label, sealed).await.map(|()| Effect::Handled(id))
        }
        None => fetch(&mut deliveries).await.map(Effect::Deliver),
    };
    let effect = done.unwrap_or_else(|error| {
        warn!(%label, error = %chain(&error), "Mail not handled, it will be repeated");
        Effect::None
    });
    (deliveries, effect)
}

async fn note_received(
    mailbox: &Mailbox,
    label: Label,
    deliveries: &mut Deliveries,
    received: &Received,
) -> Result<(), StoreError> {
    let Ok(id) = EnvelopeId::try_from(&received.envelope_id[..]) else { return Ok(()) };
    mailbox.received(label, id, received.status()).await?;
    deliveries.answered(id, received.status());
    Ok(())
}

/// What can never be kept is handled as well: a repeat would not change it.
async fn keep_outcome(mailbox: &Mailbox, label: Label, sealed: SealedOutcome) -> Result<(), StoreError> {
    let result = match Outcome::try_from(sealed) {
        Ok(outcome) => mailbox.outcome(label, &outcome).await.map(as_str),
        Err(_) => Ok("malformed"),
    };
    metrics::outcome(result.as_ref().map_or("failed", |result| result));
    result.map(drop)
}

const fn as_str(kept: Kept) -> &'static str {
    match kept {
        Kept::New => "new",
        Kept::Known => "known",
        Kept::Unasked => "unasked",
    }
}

async fn fetch(deliveries: &mut Deliveries) -> Result<Vec<(EnvelopeId, SealedRequest)>, StoreError> {
    let fresh = deliveries.take(clock::now()).await?;
    for (id, _) in &fresh {
        // Noted before it is sent: a delivery that is lost with the tunnel is made again in either state.
        deliveries.sent(*id).await?;
    }
    Ok(fresh)
}

/// An outcome has 256 KiB at most, so this bounds what one replica can make the broker hold.
const QUEUE: usize = 8;
