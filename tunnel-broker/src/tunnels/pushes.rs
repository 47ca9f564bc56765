//! What a tunnel's replica is to know: trust bundle, its own inventory entry, phase of the rotation. The truth is
//! elsewhere; here is what was told of it. Invariant: one push at a time is on its way, repeated by the control stream
//! until it is acknowledged, so a replica that takes nothing holds no more than one message here.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};
use tunnel_protos::{
    Digest, Label,
    v1::{Rotation, RotationPhase, broker_message::Body},
};

use super::Around;

/// The pushes of one tunnel.
#[derive(Debug)]
pub(super) struct Pushes {
    label: Label,
    /// Rung when there may be something new.
    nudge: Arc<Notify>,
    told: Told,
    waits: Waits,
}

/// What a replica that acknowledged everything knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    trust_sequence: Option<u64>,
    entry: Option<Digest>,
    phase: Option<RotationPhase>,
}

#[derive(Debug)]
enum Waits {
    ForNothing,
    /// The replica has not acknowledged yet.
    ForAck(oneshot::Receiver<()>),
    /// The control stream was full.
    Until(Instant),
}

/// Something to push.
#[derive(Debug)]
pub(super) struct Push {
    /// What to send.
    pub(super) body: Body,
    /// What the replica knows once it has acknowledged that.
    pub(super) then: Told,
}

impl Pushes {
    /// Nothing was told yet: what a replica knows it does not say.
    pub(super) fn new(label: Label, nudge: Arc<Notify>) -> Self {
        Self { label, nudge, told: Told::default(), waits: Waits::ForNothing }
    }

    /// The next thing to push, once the one before was acknowledged. Cancel-safe.
    pub(super) async fn next(&mut self, around: &Around) -> Push {
        loop {
            match &mut self.waits {
                Waits::ForNothing => {}
                // Without an acknowledgement the tunnel is over.
                Waits::ForAck(acknowledged) => drop(acknowledged.await),
                Waits::Until(at) => sleep_until(*at).await,
            }
            self.waits = Waits::ForNothing;
            if let Some(push) = self.due(around) {
                return push;
            }
            self.nudge.notified().await;
        }
    }

    /// Notes that a push was handed to the control stream.
    pub(super) fn sent(&mut self, then: Told, acknowledged: oneshot::Receiver<()>) {
        self.told = then;
        self.waits = Waits::ForAck(acknowledged);
    }

    /// Notes that the control stream took none.
    pub(super) fn not_sent(&mut self) {
        self.waits = Waits::Until(Instant::now() + AGAIN);
    }

    /// The trust bundle goes first: an entry may be signed by a vendor key that only it names.
    fn due(&self, around: &Around) -> Option<Push> {
        self.trust(around).or_else(|| self.entry(around)).or_else(|| self.phase(around.enroll.phase()))
    }

    fn trust(&self, around: &Around) -> Option<Push> {
        let trusted = around.trust.bundles().current();
        let sequence = Some(trusted.bundle.sequence);
        (self.told.trust_sequence != sequence).then(|| Push {
            body: Body::TrustBundle(trusted.envelope.clone()),
            then: Told { trust_sequence: sequence, ..self.told.clone() },
        })
    }

    fn entry(&self, around: &Around) -> Option<Push> {
        let entries = around.inventory.entries();
        let entry = entries.labeled(self.label).filter(|entry| self.told.entry != Some(entry.digest))?;
        let body = Body::InventoryEntry(entry.envelope.clone());
        Some(Push { body, then: Told { entry: Some(entry.digest), ..self.told.clone() } })
    }

    fn phase(&self, phase: RotationPhase) -> Option<Push> {
        (self.told.phase != Some(phase)).then(|| Push {
            body: Body::Rotation(Rotation { phase: phase.into() }),
            then: Told { phase: Some(phase), ..self.told.clone() },
        })
    }
}

/// The control stream is full of what the replica does not acknowledge.
const AGAIN: Duration = Duration::from_secs(5);
