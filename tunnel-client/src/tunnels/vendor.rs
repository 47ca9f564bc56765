//! What a broker and this replica tell each other about belonging to the vendor, beside the loop that answers probes.
//!
//! Invariant: one thing of a broker is looked at at a time, and each that was refused costs the broker a pause.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tracing::debug;
use tunnel_protos::v1::{self, RotationPhase, replica_message::Body as ToBroker};
use tunnel_runtime::chain;
use tunnel_transport::control::ControlSender;

use crate::{
    enrollment,
    trust::{self, Fingerprint},
};

/// Where what brokers bring about the vendor goes; `trust/` implements it.
pub trait Vendor: Clone + Send + Sync + 'static {
    /// The number of the ask for another mesh certificate under way; each is made once over each tunnel.
    fn asking(&self) -> watch::Receiver<Option<u64>>;

    /// The certificate request of an ask.
    fn csr(&self) -> Option<Vec<u8>>;

    /// Wakes when [`Vendor::reached`] may have another answer.
    fn wake(&self) -> watch::Receiver<u64>;

    /// The sequence of the trust bundle under which this replica, with a tunnel that shows `leaf`, is through with
    /// `phase`; none before.
    fn reached(&self, phase: RotationPhase, leaf: &Fingerprint) -> Option<u64>;

    /// The signed word for it.
    fn acknowledgement(&self, phase: RotationPhase, sequence: u64) -> Option<v1::Envelope>;

    /// A registration that brokers are to pass on to the vendor: each keeps it until its entry is in force, which says
    /// that it arrived where it had to.
    fn registration(&self) -> watch::Receiver<Option<Arc<v1::Envelope>>>;

    /// Takes what a broker brought.
    fn take(&self, news: News) -> impl Future<Output = Taken> + Send;
}

/// What a broker brought.
#[derive(Debug)]
pub enum News {
    /// Envelope of a trust bundle.
    TrustBundle(v1::Envelope),
    /// Envelope of an inventory entry.
    Entry(v1::Envelope),
    /// A certificate (DER) for the mesh key.
    Leaf(Vec<u8>),
    /// The vendor's CAs change.
    Rotation(RotationPhase),
}

impl News {
    /// Counts it as refused without a look.
    pub(super) fn count_refused(&self) {
        match self {
            Self::TrustBundle(_) => trust::metrics::refused("bundle"),
            Self::Leaf(_) => trust::metrics::refused("leaf"),
            Self::Entry(_) => enrollment::metrics::entry_refused(),
            Self::Rotation(_) => {}
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in force, or was before.
    Done,
    /// It is not what it should be.
    Refused,
    /// Not now; brokers repeat it.
    Later,
}

/// A queued piece of news with the id by which it is acknowledged.
pub(super) type Letter = (u64, News);

/// One tunnel's talk about the vendor.
pub(super) struct Talk<V> {
    pub(super) vendor: V,
    pub(super) sender: ControlSender<v1::ReplicaMessage>,
    /// What this tunnel shows.
    pub(super) leaf: Fingerprint,
}

impl<V: Vendor> Talk<V> {
    /// Talks until the tunnel is gone, which drops the future.
    pub(super) async fn run(self, mut letters: mpsc::Receiver<Letter>) {
        let (mut asking, mut wake) = (self.vendor.asking(), self.vendor.wake());
        let mut registration = self.vendor.registration();
        let (mut phase, mut acknowledged) = (None, HashSet::new());
        asking.mark_changed();
        self.register(&mut registration);
        loop {
            tokio::select! {
                Some((id, news)) = letters.recv() => {
                    if let News::Rotation(entered) = news {
                        phase = Some(entered);
                    }
                    self.take(id, news).await;
                    self.acknowledge(phase, &mut acknowledged);
                }
                Ok(()) = asking.changed() => self.ask(*asking.borrow_and_update()),
                Ok(()) = wake.changed() => self.acknowledge(phase, &mut acknowledged),
                Ok(()) = registration.changed() => self.register(&mut registration),
            }
        }
    }

    async fn take(&self, id: u64, news: News) {
        let taken = timeout(PATIENCE, self.vendor.take(news)).await.unwrap_or(Taken::Later);
        if taken != Taken::Later {
            self.sender.handled(id);
        }
        sleep(if taken == Taken::Refused { PENALTY } else { PACE }).await;
    }

    fn ask(&self, number: Option<u64>) {
        let Some(csr) = number.and_then(|_| self.vendor.csr()) else { return };
        // Asked again with the next number.
        self.send(ToBroker::RenewCsr(v1::RenewCsr { csr }));
    }

    /// Each phase of each bundle once; the control stream repeats it until acknowledged.
    fn acknowledge(&self, phase: Option<RotationPhase>, acknowledged: &mut HashSet<(i32, u64)>) {
        let Some(phase) = phase else { return };
        let Some(sequence) = self.vendor.reached(phase, &self.leaf) else { return };
        let said = (phase.into(), sequence);
        if acknowledged.len() >= MOST_ACKNOWLEDGED || acknowledged.contains(&said) {
            return;
        }
        if let Some(envelope) = self.vendor.acknowledgement(phase, sequence) {
            acknowledged.insert(said);
            self.keep(ToBroker::RotationAck(envelope));
        }
    }

    fn register(&self, registration: &mut watch::Receiver<Option<Arc<v1::Envelope>>>) {
        let envelope = registration.borrow_and_update().clone();
        if let Some(envelope) = envelope {
            self.keep(ToBroker::Registration((*envelope).clone()));
        }
    }

    fn send(&self, body: ToBroker) {
        if let Err(error) = self.sender.send(&v1::ReplicaMessage { id: 0, body: Some(body) }) {
            debug!(error = %chain(&error), "Broker not told");
        }
    }

    /// Repeated by the control stream until the broker has it.
    fn keep(&self, body: ToBroker) {
        if let Err(error) = self.sender.keep(v1::ReplicaMessage { id: 0, body: Some(body) }) {
            debug!(error = %chain(&error), "Broker not told");
        }
    }
}

/// More than the trust's own deadlines.
const PATIENCE: Duration = Duration::from_secs(30);
/// A hostile broker gets one look in this time.
const PENALTY: Duration = Duration::from_secs(1);
/// Honest brokers bring a handful of things in a day.
const PACE: Duration = Duration::from_millis(20);
/// Five phases of a dozen bundles in one tunnel's life; more is no honest rotation.
const MOST_ACKNOWLEDGED: usize = 64;
