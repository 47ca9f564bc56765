//! Requests from the operator's side: make, sign, seal, submit, and wait for the cluster's own answer.
//!
//! Nothing that a broker says moves a request forward; see [`reader`] and [`wait`].

use std::time::Duration;

use prost::Message;
use tunnel_certs::{
    key::{SealingKey, SealingKeyError, SignError},
    seal::{self, SealError},
    statement::{
        envelope,
        inventory::Entry,
        request::{self, Kind, Operation, Reason, Request, operation::Start},
    },
};
use tunnel_protos::RequestId;

use self::record::{Folder, Record};
use crate::{
    api::{Api, CallError},
    operator::Operator,
    surroundings::Clock,
};

pub mod reader;
pub mod record;
pub mod wait;

mod certificate;
mod events;
mod follow;
mod patience;

#[cfg(test)]
pub(crate) mod samples;

pub use self::{
    certificate::{Answered, CertificateError, Certified},
    follow::{Tell, is_over, state_name},
    patience::{Interrupt, Patience, interrupt},
};

/// Why a request did not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No fresh outcome key could be made.
    #[error("cannot make an outcome key")]
    OutcomeKey(#[source] SealingKeyError),
    /// The operator's key refused.
    #[error("cannot sign the request")]
    Sign(#[source] SignError),
    /// The entry's sealing key cannot be sealed to.
    #[error("cannot seal the request to the cluster")]
    Seal(#[source] SealError),
    /// The request could not be kept.
    #[error("cannot keep the request")]
    Record(#[source] record::Error),
    /// The broker did not take it, or broke off for good.
    #[error("the request did not get through")]
    Broker(#[source] CallError),
}

/// Makes requests as one operator through one broker.
#[derive(Debug)]
pub struct Requester {
    /// The broker.
    pub api: Api,
    /// Who asks.
    pub operator: Operator,
    /// Where open requests are kept.
    pub folder: Folder,
    /// The wall clock.
    pub clock: Clock,
}

impl Requester {
    /// Makes, signs and seals a request to the cluster of a verified entry, and keeps it; it lives as long as its kind
    /// usually does.
    pub fn make(&self, to: &Entry, kind: Kind, reason: Reason) -> Result<Record, Error> {
        let life = usual_life(&kind);
        self.make_for(to, kind, reason, life)
    }

    /// The same, for a request that lives as long as `life` if it may.
    pub fn make_for(&self, to: &Entry, kind: Kind, reason: Reason, life: Duration) -> Result<Record, Error> {
        let outcome_key = SealingKey::generate().map_err(Error::OutcomeKey)?;
        let request = self.request(to, kind, reason, life, &outcome_key);
        let credential = &self.operator.credential;
        let envelope =
            request::make(&request, &**credential.key(), credential.certificate()).map_err(Error::Sign)?;
        let bytes = envelope.encode_to_vec();
        let sealed = seal::seal_request(&bytes, &to.label, &to.sealing_key).map_err(Error::Seal)?;
        let digest = envelope::digest(&envelope);
        let record = Record::new(&request, to, digest, seal::envelope_id(&sealed));
        self.folder.create(&record, &outcome_key, &sealed).map_err(Error::Record)?;
        Ok(record)
    }

    fn request(&self, to: &Entry, kind: Kind, reason: Reason, life: Duration, key: &SealingKey) -> Request {
        let issued = self.clock.now();
        Request {
            id: RequestId::random(),
            cluster: to.cluster.clone(),
            label: to.label,
            operator: self.operator.name.clone(),
            issued,
            expires: issued.plus(life.min(request::MAX_LIFE)).min(self.operator.not_after),
            reason,
            outcome_key: *key.public(),
            kind,
        }
    }
}

/// People may be asleep and clusters offline; but what begins by itself must not find another world.
fn usual_life(kind: &Kind) -> Duration {
    match kind {
        Kind::Certificate(_) => CERTIFICATE_LIFE,
        Kind::Operation(operation) if operation.start == Start::OnApproval => Operation::LIFE_ON_APPROVAL,
        Kind::Access(_) | Kind::Operation(_) | Kind::Withdraw(_) => request::MAX_LIFE,
    }
}

/// Clients refuse certificate requests older than 5 min, so older ones would only fill their books.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
pub(crate) mod tests;
