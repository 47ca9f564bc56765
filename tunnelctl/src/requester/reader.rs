//! Reading of sealed outcomes: what is not the cluster's answer to this very request goes no further.

use tunnel_certs::{
    crypto,
    key::{PublicKey, SealingKey},
    seal::{self, SealError},
    statement::outcome::{self, OpenError, Outcome},
};
use tunnel_protos::{Digest, EnvelopeId, v1::SealedOutcome};

/// Why something that the broker delivered as an outcome was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not sealed to this request's key.
    #[error("an outcome that cannot be opened")]
    Seal(#[source] SealError),
    /// Opened, but it does not hold.
    #[error("an outcome that does not hold")]
    Outcome(#[source] OpenError),
    /// Another outcome with a sequence that was already used.
    #[error("a second, different outcome {0}")]
    Changed(u64),
}

/// What became of a delivered outcome.
#[derive(Debug)]
pub enum Read {
    /// The next answer.
    New(Box<Outcome>),
    /// An answer held already or overtaken by a newer one, delivered again.
    Held,
}

/// The newest outcome accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// Its sequence.
    pub sequence: u64,
    /// SHA-256 of its envelope.
    pub sha256: [u8; 32],
}

/// Opens outcomes of one request.
#[derive(Debug)]
pub struct Reader {
    cluster_key: PublicKey,
    digest: Digest,
    envelope_id: EnvelopeId,
    outcome_key: SealingKey,
    newest: Option<Newest>,
}

impl Reader {
    /// Reads answers to the request with this digest and envelope id; `newest` was accepted in an earlier run.
    pub const fn new(
        cluster_key: PublicKey,
        digest: Digest,
        envelope_id: EnvelopeId,
        outcome_key: SealingKey,
        newest: Option<Newest>,
    ) -> Self {
        Self { cluster_key, digest, envelope_id, outcome_key, newest }
    }

    /// The newest outcome accepted.
    pub const fn newest(&self) -> Option<Newest> {
        self.newest
    }

    /// Opens one; the sequence never goes back, and one sequence has one outcome. Brokers deliver the last ones
    /// again on each watch, so an older one is no alarm: it is not looked at.
    pub fn read(&mut self, sealed: &SealedOutcome) -> Result<Read, Error> {
        let bytes = seal::open_outcome(sealed, &self.envelope_id, &self.outcome_key).map_err(Error::Seal)?;
        let seen = self.newest.map_or(0, |newest| newest.sequence);
        let outcome = match outcome::open(&bytes, &self.cluster_key, &self.digest, seen) {
            Ok(outcome) => outcome,
            Err(OpenError::Sequence { got, .. }) if got > 0 => return Ok(Read::Held),
            Err(error) => return Err(Error::Outcome(error)),
        };
        let this = Newest { sequence: outcome.sequence, sha256: crypto::sha256(&bytes) };
        match self.newest {
            Some(newest) if newest == this => Ok(Read::Held),
            Some(newest) if newest.sequence == this.sequence => Err(Error::Changed(this.sequence)),
            _ => {
                self.newest = Some(this);
                Ok(Read::New(Box::new(outcome)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
