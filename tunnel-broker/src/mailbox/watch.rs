//! One operator's watch of one request: its delivery and the outcomes held, then both as they change.
//! It reads the store after each ring, so a slow watcher costs no memory and misses nothing that is kept.

use std::{collections::VecDeque, sync::Arc};

use tunnel_protos::{EnvelopeId, OperatorName, operators::Delivery, v1::SealedOutcome};

use super::{Mailbox, bell::Listener};
use crate::store::{StoreError, outcomes::Arrival};

/// Why a request cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// Not held here, or another operator's: the two look the same from outside.
    #[error("no such request of yours")]
    Unknown,
    /// Not read.
    #[error("cannot read the request")]
    Store(#[source] StoreError),
}

/// Something new about a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum News {
    /// It is here now.
    Delivery(Delivery),
    /// The cluster said this.
    Outcome(SealedOutcome),
}

/// A watch; ends with an error when the request is forgotten.
#[derive(Debug)]
pub(crate) struct Watch {
    mailbox: Arc<Mailbox>,
    listener: Listener<EnvelopeId>,
    delivery: Option<Delivery>,
    seen: Arrival,
    news: VecDeque<News>,
}

impl Watch {
    pub(super) async fn open(
        mailbox: Arc<Mailbox>,
        operator: &OperatorName,
        id: EnvelopeId,
    ) -> Result<Self, WatchError> {
        // Listening comes first: what changes while the store is read rings.
        let listener = mailbox.news.listen(id);
        let held = mailbox.store.request(id).await.map_err(WatchError::Store)?;
        if held.is_none_or(|held| held.submitter != operator.as_str()) {
            return Err(WatchError::Unknown);
        }
        Ok(Self { mailbox, listener, delivery: None, seen: Arrival::default(), news: VecDeque::new() })
    }

    /// The next piece of news; waits for it. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<News, WatchError> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Ok(news);
            }
            if self.delivery.is_some() {
                self.listener.rung().await;
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), WatchError> {
        let id = *self.listener.key();
        let held = self.mailbox.store.request(id).await.map_err(WatchError::Store)?;
        let delivery = held.ok_or(WatchError::Unknown)?.delivery;
        let outcomes = self.mailbox.store.outcomes(id, self.seen).await.map_err(WatchError::Store)?;
        if self.delivery.replace(delivery) != Some(delivery) {
            self.news.push_back(News::Delivery(delivery));
        }
        self.seen = outcomes.last().map_or(self.seen, |(arrival, _)| *arrival);
        self.news.extend(outcomes.into_iter().map(|(_, outcome)| News::Outcome(outcome)));
        Ok(())
    }
}
