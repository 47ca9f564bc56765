//! What happens to one request, as one sequence across broken streams and restarted brokers.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::sleep;
use tunnel_certs::crypto;
use tunnel_protos::{
    EnvelopeId,
    v1::{SealedOutcome, SealedRequest},
};
use tunnel_runtime::chain::chain;
use tunnel_transport::backoff::Backoff;

use super::{
    reader::{Newest, Read, Reader},
    wait::Event,
};
use crate::api::{Api, CallError, Told, Watch};

/// Submits a request and follows it.
pub(super) struct Events {
    api: Api,
    id: EnvelopeId,
    sealed: SealedRequest,
    reader: Reader,
    watch: Option<Watch>,
    backoff: Backoff,
    submitted: bool,
    failed: bool,
}

impl Events {
    /// Nothing is sent before the first [`Events::next`].
    pub(super) fn new(api: Api, id: EnvelopeId, sealed: SealedRequest, reader: Reader) -> Self {
        let backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY).expect("the first delay is below the longest");
        Self { api, id, sealed, reader, watch: None, backoff, submitted: false, failed: false }
    }

    /// The newest outcome accepted.
    pub(super) const fn newest(&self) -> Option<Newest> {
        self.reader.newest()
    }

    /// Puts the request into the mailbox (again) before anything else; the broker knows it by its id.
    pub(super) fn submit(&mut self) {
        self.submitted = false;
    }

    /// The next event; an error is one that trying again does not cure.
    pub(super) async fn next(&mut self) -> Result<Event, CallError> {
        loop {
            match self.told().await {
                Ok(Told::Delivery(delivery)) => return Ok(Event::Delivery(delivery)),
                Ok(Told::Outcome(sealed)) => {
                    if let Some(event) = self.read(&sealed) {
                        return Ok(event);
                    }
                }
                Err(error) => return self.broken(error),
            }
        }
    }

    async fn told(&mut self) -> Result<Told, CallError> {
        if std::mem::replace(&mut self.failed, false) {
            sleep(self.backoff.next_delay(u64::from_ne_bytes(crypto::random()))).await;
        }
        if !self.submitted {
            let delivery = self.api.submit(self.sealed.clone()).await?;
            self.submitted = true;
            return Ok(Told::Delivery(delivery));
        }
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => none.insert(self.api.watch(&self.id).await?),
        };
        watch.next().await.unwrap_or(Err(CallError::Closed))
    }

    fn broken(&mut self, error: CallError) -> Result<Event, CallError> {
        self.watch = None;
        self.failed = true;
        if self.submitted && error.is_not_found() {
            Ok(Event::Forgotten)
        } else if error.is_retryable() {
            Ok(Event::Disconnected(error.to_string()))
        } else {
            Err(error)
        }
    }

    fn read(&mut self, sealed: &SealedOutcome) -> Option<Event> {
        match self.reader.read(sealed) {
            Ok(Read::New(outcome)) => Some(Event::Outcome(outcome)),
            Ok(Read::Held) => None,
            Err(error) => Some(Event::Forged(chain(&error).to_string())),
        }
    }
}

/// A restarting broker is back within seconds, and people wait.
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(3);
