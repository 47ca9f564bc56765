//! Outcomes on their way over one tunnel: each is sent once, in order, and reported when the broker has stored it.

use std::{collections::HashSet, future::Future, pin::Pin};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::oneshot;
use tunnel_protos::v1::SealedOutcome;
use tunnel_transport::control::SendError;

type Acknowledgement = Pin<Box<dyn Future<Output = (SealedOutcome, bool)> + Send>>;

/// What is under way on one tunnel.
#[derive(Default)]
pub(super) struct Outcomes {
    /// By encapsulated key, which no two sealings share.
    sent: HashSet<Vec<u8>>,
    waiting: FuturesUnordered<Acknowledgement>,
}

impl Outcomes {
    /// Sends those of `outcomes` that were not sent yet; what does not fit is sent after the next acknowledgement.
    pub(super) fn send(
        &mut self,
        outcomes: Vec<SealedOutcome>,
        send: impl Fn(SealedOutcome) -> Result<oneshot::Receiver<()>, SendError>,
    ) {
        let current: HashSet<_> = outcomes.iter().map(|outcome| outcome.enc.clone()).collect();
        self.sent.retain(|enc| current.contains(enc));
        for outcome in outcomes {
            if self.sent.contains(&outcome.enc) {
                continue;
            }
            let Ok(acknowledged) = send(outcome.clone()) else { return };
            self.sent.insert(outcome.enc.clone());
            self.waiting.push(Box::pin(async move { (outcome, acknowledged.await.is_ok()) }));
        }
    }

    /// The next outcome that the broker has stored; never ends while none is under way. Cancel-safe.
    pub(super) async fn acknowledged(&mut self) -> SealedOutcome {
        while let Some((outcome, stored)) = self.waiting.next().await {
            if stored {
                return outcome;
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seed: u8) -> SealedOutcome {
        SealedOutcome { enc: vec![seed; 32], ..Default::default() }
    }

    #[tokio::test]
    async fn each_outcome_is_sent_once_and_reported_when_stored() {
        let mut outcomes = Outcomes::default();
        let (stored, acknowledgement) = oneshot::channel();
        let slot = parking_lot::Mutex::new(Some(acknowledgement));
        outcomes.send(vec![outcome(1)], |_| Ok(slot.lock().take().unwrap()));
        outcomes.send(vec![outcome(1)], |_| unreachable!("sent already"));
        stored.send(()).unwrap();
        assert_eq!(outcomes.acknowledged().await, outcome(1));
    }

    #[test]
    fn what_does_not_fit_is_sent_later_and_in_order() {
        let mut outcomes = Outcomes::default();
        let tries = parking_lot::Mutex::new(Vec::new());
        outcomes.send(vec![outcome(1), outcome(2)], |outcome| {
            tries.lock().push(outcome.enc[0]);
            Err(SendError::Closed)
        });
        assert_eq!(*tries.lock(), [1]);
        outcomes.send(vec![outcome(1), outcome(2)], |outcome| {
            tries.lock().push(outcome.enc[0]);
            Ok(oneshot::channel().1)
        });
        assert_eq!(*tries.lock(), [1, 1, 2]);
    }
}
