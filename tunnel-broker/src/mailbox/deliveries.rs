//! What one tunnel has to deliver. A request is in flight on a tunnel until its `Received` comes or the tunnel ends;
//! then whoever attaches next delivers it again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};
use tunnel_protos::{
    EnvelopeId, Label, UnixMillis,
    operators::Delivery,
    v1::{ReceivedStatus, SealedRequest},
};

use super::{Mailbox, bell::Listener};
use crate::store::StoreError;

/// The deliveries of one tunnel.
#[derive(Debug)]
pub(crate) struct Deliveries {
    mailbox: Arc<Mailbox>,
    listener: Listener<Label>,
    in_flight: HashSet<EnvelopeId>,
    /// When to look again without being woken.
    pub(super) again: Option<Instant>,
}

impl Deliveries {
    pub(super) fn new(mailbox: Arc<Mailbox>, label: Label) -> Self {
        let listener = mailbox.arrivals.listen(label);
        let again = Some(Instant::now());
        Self { mailbox, listener, in_flight: HashSet::new(), again }
    }

    /// Waits until there may be something to deliver. Safe to cancel.
    pub(crate) async fn due(&self) {
        let again = async {
            match self.again {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = again => {}
            () = self.listener.rung() => {}
        }
    }

    /// What is to be sent now; it counts as in flight from here on.
    pub(crate) async fn take(
        &mut self,
        now: UnixMillis,
    ) -> Result<Vec<(EnvelopeId, SealedRequest)>, StoreError> {
        self.again = None;
        let label = *self.listener.key();
        // Taken off before the question and put back after it: a request that comes in between is not overlooked.
        if self.in_flight.len() >= IN_FLIGHT || !self.mailbox.waiting.lock().remove(&label) {
            return Ok(Vec::new());
        }
        let waiting = self.mailbox.store.waiting(label, now, BATCH).await;
        if !matches!(&waiting, Ok(none) if none.is_empty()) {
            self.mailbox.waiting.lock().insert(label);
        }
        let mut fresh = waiting.inspect_err(|_| self.look_again(RETRY))?;
        fresh.retain(|(id, _)| !self.in_flight.contains(id));
        fresh.truncate(IN_FLIGHT - self.in_flight.len());
        self.in_flight.extend(fresh.iter().map(|(id, _)| *id));
        Ok(fresh)
    }

    /// Notes that a request was handed to the tunnel.
    pub(crate) async fn sent(&self, id: EnvelopeId) -> Result<(), StoreError> {
        if self.mailbox.store.set_delivery(id, *self.listener.key(), Delivery::Sent).await? {
            self.mailbox.news.ring(&id);
        }
        Ok(())
    }

    /// Notes that the replica answered, which makes room for the next.
    pub(crate) fn answered(&mut self, id: EnvelopeId, status: ReceivedStatus) {
        if !self.in_flight.remove(&id) {
            return;
        }
        match status {
            ReceivedStatus::Full => self.look_again(FULL_RETRY),
            _ => self.look_again(Duration::ZERO),
        }
    }

    fn look_again(&mut self, after: Duration) {
        let at = Instant::now() + after;
        self.again = Some(self.again.map_or(at, |before| before.min(at)));
    }
}

/// Requests sent and not answered, per tunnel; the client refuses more than 64 pending per operator anyway.
const IN_FLIGHT: usize = 16;
/// Those in flight and the next ones after them; asks the database for no more rows than that.
const BATCH: u32 = 64;
/// The database did not answer.
const RETRY: Duration = Duration::from_secs(5);
/// A full client gets room when requests expire or are decided: people's time, not machines'.
const FULL_RETRY: Duration = Duration::from_secs(30);
