//! What a replica asks of the vendor over its tunnel: another certificate, and to keep what the cluster key signed.
//! Invariant: few of each in a while, one at a time, and nothing of it speaks for another replica than the tunnel's.
//! What is dropped for its rate the replica repeats.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc};

use prost::Message;
use tokio::time::Instant;
use tracing::{debug, warn};
use tunnel_certs::statement::{ack, envelope::MAX_ENVELOPE};
use tunnel_protos::{Label, ReplicaId, v1::Envelope};
use tunnel_runtime::chain;

use super::Around;
use crate::{
    bucket::{Bucket, Rate},
    clock,
    enroll::{AcknowledgementError, RenewError, ReplacementError},
    metrics,
};

/// Something that a replica asked for, with the id to acknowledge.
#[derive(Debug)]
pub(super) enum Errand {
    /// Another certificate, by this certificate request.
    Renew(u64, Vec<u8>),
    /// A phase of the rotation was finished.
    Acknowledgement(u64, Envelope),
    /// New keys of the cluster.
    Registration(u64, Envelope),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    /// Acknowledge this id.
    Handled(u64),
    /// Send this certificate, and acknowledge this id.
    Renewed(u64, Vec<u8>),
    /// Nothing: it failed here, or its cluster has no entry yet, and the other side will repeat.
    Failed,
}

/// The errands of one tunnel.
pub(super) struct Errands {
    who: (Label, ReplicaId),
    around: Arc<Around>,
    /// What is left of each kind's rate.
    left: [Bucket; 3],
    queue: VecDeque<Errand>,
    running: Option<Pin<Box<dyn Future<Output = Done> + Send>>>,
}

impl Errands {
    /// None yet.
    pub(super) fn new(around: Arc<Around>, label: Label, replica: ReplicaId) -> Self {
        let left = RATES.map(|rate| Bucket::new(rate, Instant::now()));
        Self { who: (label, replica), around, left, queue: VecDeque::new(), running: None }
    }

    /// Queues one, unless there were too many of its kind; gives the id of one that can never be done.
    pub(super) fn push(&mut self, errand: Errand) -> Option<u64> {
        if errand.is_too_large() {
            debug!(label = %self.who.0, kind = errand.kind(), "Too large, dropped");
            metrics::errand(errand.kind(), "too_large");
            return Some(errand.id());
        }
        let place = errand.place();
        if self.queue.len() < QUEUE && self.left[place].take(RATES[place], Instant::now()).is_ok() {
            self.queue.push_back(errand);
        } else {
            metrics::refused(metrics::Queue::Errands);
        }
        None
    }

    /// Works on until something is to be done on the tunnel. Safe to cancel.
    pub(super) async fn next(&mut self) -> Done {
        if self.running.is_none() {
            if self.queue.is_empty() {
                std::future::pending::<()>().await;
            }
            // All of these end in the database.
            self.around.mailbox.allowed(self.who.0).await;
            let who = self.who.clone();
            let errand = self.queue.pop_front();
            self.running = errand.map(|errand| run(Arc::clone(&self.around), who, errand));
        }
        let Some(running) = &mut self.running else { return Done::Failed };
        let done = running.as_mut().await;
        self.running = None;
        done
    }
}

impl Errand {
    const fn id(&self) -> u64 {
        match self {
            Self::Renew(id, _) | Self::Acknowledgement(id, _) | Self::Registration(id, _) => *id,
        }
    }

    const fn place(&self) -> usize {
        match self {
            Self::Renew(..) => 0,
            Self::Acknowledgement(..) => 1,
            Self::Registration(..) => 2,
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Renew(..) => "renew",
            Self::Acknowledgement(..) => "acknowledgement",
            Self::Registration(..) => "registration",
        }
    }

    fn is_too_large(&self) -> bool {
        match self {
            Self::Renew(_, csr) => csr.len() > MAX_CSR,
            Self::Acknowledgement(_, envelope) => envelope.encoded_len() > MAX_ACKNOWLEDGEMENT,
            Self::Registration(_, envelope) => envelope.encoded_len() > MAX_ENVELOPE,
        }
    }
}

fn run(
    around: Arc<Around>,
    who: (Label, ReplicaId),
    errand: Errand,
) -> Pin<Box<dyn Future<Output = Done> + Send>> {
    Box::pin(async move {
        let kind = errand.kind();
        let done = match errand {
            Errand::Renew(id, csr) => renew(&around, &who, id, &csr).await,
            Errand::Acknowledgement(id, envelope) => acknowledged(&around, &who, id, &envelope).await,
            Errand::Registration(id, envelope) => registered(&around, &who, id, &envelope).await,
        };
        let (done, result) = done;
        metrics::errand(kind, result);
        done
    })
}

async fn renew(around: &Around, who: &(Label, ReplicaId), id: u64, csr: &[u8]) -> (Done, &'static str) {
    match around.enroll.renew(csr, who.0, &who.1, clock::now()).await {
        Ok(certificate) => (Done::Renewed(id, certificate.to_vec()), "done"),
        Err(error @ (RenewError::Banned | RenewError::Csr(_))) => {
            debug!(label = %who.0, replica = %who.1, error = %chain(&error), "Certificate not renewed");
            (Done::Handled(id), "refused")
        }
        Err(error @ (RenewError::NoAuthority | RenewError::Issue(_) | RenewError::Store(_))) => {
            warn!(label = %who.0, replica = %who.1, error = %chain(&error), "Certificate not renewed");
            (Done::Failed, "failed")
        }
    }
}

async fn acknowledged(
    around: &Around,
    who: &(Label, ReplicaId),
    id: u64,
    envelope: &Envelope,
) -> (Done, &'static str) {
    match around.enroll.store_acknowledgement(who.0, &who.1, envelope, clock::now()).await {
        Ok(()) => (Done::Handled(id), "done"),
        Err(error @ AcknowledgementError::Store(_)) => {
            warn!(label = %who.0, error = %chain(&error), "Acknowledgement not kept, it will be repeated");
            (Done::Failed, "failed")
        }
        Err(error @ AcknowledgementError::Open(ack::OpenError::NoEntry)) => {
            debug!(label = %who.0, error = %chain(&error), "Acknowledgement not kept, it will be repeated");
            (Done::Failed, "no_entry")
        }
        Err(error @ (AcknowledgementError::Open(_) | AcknowledgementError::OtherReplica)) => {
            warn!(label = %who.0, replica = %who.1, error = %chain(&error), "Acknowledgement of the rotation refused");
            (Done::Handled(id), "refused")
        }
    }
}

async fn registered(
    around: &Around,
    who: &(Label, ReplicaId),
    id: u64,
    envelope: &Envelope,
) -> (Done, &'static str) {
    match around.enroll.store_replacement(who.0, envelope, clock::now()).await {
        Ok(()) => (Done::Handled(id), "done"),
        Err(error @ ReplacementError::Store(_)) => {
            warn!(label = %who.0, error = %chain(&error), "Registration not kept, it will be repeated");
            (Done::Failed, "failed")
        }
        Err(error @ ReplacementError::NoEntry) => {
            debug!(label = %who.0, error = %chain(&error), "Registration not kept, it will be repeated");
            (Done::Failed, "no_entry")
        }
        Err(error) => {
            warn!(label = %who.0, error = %chain(&error), "Registration refused");
            (Done::Handled(id), "refused")
        }
    }
}

/// One of each kind, and one that came before it was answered.
const QUEUE: usize = 4;
/// A P-256 request has 300 bytes.
const MAX_CSR: usize = 4_096;
/// One has 250 bytes, with a mesh certificate 900; and there is one of each replica in replies to administrators.
const MAX_ACKNOWLEDGEMENT: usize = 1_536;
/// In the order of [`Errand::place`]: a certificate is renewed twice a day, or a few times in a row while it fails; a
/// rotation has five phases; new keys are an event.
const RATES: [Rate; 3] = [
    Rate { per_second: 0.1, burst: 4.0 },
    Rate { per_second: 1.0, burst: 16.0 },
    Rate { per_second: 1.0 / 60.0, burst: 2.0 },
];
