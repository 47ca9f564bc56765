//! Certificates under a grant: asked for again when an answer is lost, and checked to be for our key and grant before
//! anything is written.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tunnel_certs::{
    credential::{Credential, CredentialError},
    identity::Identity,
    key::{SignError, SigningKey},
    roots::{Roots, RootsError},
    statement::{
        inventory::Entry,
        outcome::{self, Outcome},
        request::{Certificate, Kind, Reason},
    },
};
use tunnel_protos::{Door, GrantId, Label, TargetName, UnixMillis};

use super::{
    Error, Requester,
    follow::Tell,
    patience::Patience,
    wait::{Finish, Goal},
};

/// Why a certificate that the cluster issued is not used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The key could not sign its certificate request.
    #[error("cannot make a certificate request")]
    Csr(#[source] SignError),
    /// The request did not get its answer.
    #[error(transparent)]
    Request(#[from] Error),
    /// Done, but without a certificate.
    #[error("the cluster's answer holds no certificate")]
    Missing,
    /// For another key.
    #[error("the cluster's certificate is refused")]
    Swapped(#[source] outcome::OpenError),
    /// Not a certificate that fits.
    #[error("the cluster's certificate cannot be used")]
    Unusable(#[source] CredentialError),
    /// For another grant or cluster.
    #[error("the cluster's certificate is for {0} instead of the grant asked for")]
    OtherGrant(Identity),
    /// Nothing to check the gate by.
    #[error("the cluster's anchors cannot be used")]
    Anchors(#[source] RootsError),
}

/// A certificate under a grant, checked, with its key and all that a session needs.
#[derive(Debug)]
pub struct Certified {
    /// The certificate and its key.
    pub credential: Credential,
    /// Gates present chains to these.
    pub anchors: Roots,
    /// Doors by target.
    pub doors: BTreeMap<TargetName, Door>,
    /// When the certificate ends.
    pub not_after: UnixMillis,
    /// When the grant ends.
    pub work_until: UnixMillis,
}

/// What asking for a certificate led to.
#[derive(Debug)]
pub enum Answered {
    /// A certificate that is ours.
    Certificate(Box<Certified>),
    /// None.
    No(Box<Finish>),
}

impl Requester {
    /// Asks for a certificate for `key` under `grant`; when an answer is lost, with a new request.
    pub async fn certificate(
        &self,
        to: &Entry,
        grant: GrantId,
        key: Arc<SigningKey>,
        reason: &Reason,
        patience: &Patience,
        tell: Tell<'_>,
    ) -> Result<Answered, CertificateError> {
        let csr = key.csr().map_err(CertificateError::Csr)?;
        loop {
            let kind = Kind::Certificate(Certificate { grant, csr: csr.clone() });
            let mut record = self.make(to, kind, reason.clone())?;
            let finish = self.ask(&mut record, Goal::Done, &patience.at_most(ATTEMPT), tell).await?;
            // Whatever the answer, nothing more is wanted of this one request.
            self.folder.remove(record.id).map_err(Error::Record)?;
            match finish {
                Finish::Yes(outcome) => return check(outcome, &key, &to.label, grant),
                Finish::StillWaiting { .. } if !patience.is_over() => {}
                other => return Ok(Answered::No(Box::new(other))),
            }
        }
    }
}

fn check(
    outcome: Outcome,
    key: &Arc<SigningKey>,
    label: &Label,
    grant: GrantId,
) -> Result<Answered, CertificateError> {
    use tunnel_certs::key::Signer;

    let issued = outcome.issued.ok_or(CertificateError::Missing)?;
    issued.check_key(key.public()).map_err(CertificateError::Swapped)?;
    let credential =
        Credential::new(vec![issued.certificate], Arc::clone(key)).map_err(CertificateError::Unusable)?;
    let identity = credential.identity().map_err(CertificateError::Unusable)?;
    if identity != (Identity::Grant { label: *label, grant }) {
        return Err(CertificateError::OtherGrant(identity));
    }
    let (_, not_after) = credential.validity();
    Ok(Answered::Certificate(Box::new(Certified {
        credential,
        anchors: Roots::new(issued.anchors).map_err(CertificateError::Anchors)?,
        doors: issued.doors.into_iter().collect(),
        not_after,
        work_until: UnixMillis(outcome.deadlines.work_until_ms).max(not_after),
    })))
}

/// An online cluster answers within a second; a longer silence means that the request or its answer was lost.
const ATTEMPT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests;
