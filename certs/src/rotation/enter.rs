//! Whether a phase may be entered: what the broker asks before it does, whoever tells it to.

use tunnel_protos::v1::RotationPhase;

use super::observed::{CaId, Observed};

/// Why a phase is not entered; acknowledgements are the job's to wait for, certificates the broker's to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a phase.
    #[error("that is no phase of a rotation")]
    NoPhase,
    /// Nothing to rotate to.
    #[error("there is no second mesh CA; prepare one first")]
    NoNewCa,
    /// Some would refuse what it issues.
    #[error("the trust bundle in force does not have the mesh CA {0}; publish one that has it first")]
    Untrusted(CaId),
    /// Certificates of it are still in use.
    #[error("the trust bundle in force still has the mesh CA {0}; publish one without it first")]
    StillTrusted(CaId),
    /// A phase was left out.
    #[error("replicas must trust the new mesh CA before it issues; enter init first")]
    TooEarly,
    /// The CA that issues is another.
    #[error("the mesh CA {0} must issue before that; enter the phase before first")]
    NotIssuing(CaId),
    /// The broker's own certificate is another CA's.
    #[error("this broker's own certificate is not yet of the mesh CA that issues")]
    BrokerBehind,
}

/// Whether `phase` may be entered with these certificates, once more as well as for the first time.
///
/// Entering lets the broker do what is left of it: from update-replicas on the newest CA issues, at update-brokers the
/// broker's own leaf is of it; on rollback both are of the CA before; on standby the CAs that do not issue are forgotten.
///
/// The phase is recorded and announced last: a replica that renews its leaf for a phase and acknowledges it must have
/// been certified by the CA of that phase, or it would be cut off when the other one goes.
pub fn check_enter(observed: &Observed, phase: RotationPhase) -> Result<(), Refusal> {
    match phase {
        RotationPhase::Unspecified => Err(Refusal::NoPhase),
        RotationPhase::Init => both_trusted(observed).map(drop),
        RotationPhase::UpdateReplicas => update_replicas(observed),
        RotationPhase::UpdateBrokers => update_brokers(observed),
        RotationPhase::Rollback => rollback(observed),
        RotationPhase::Standby => standby(observed),
    }
}

/// The new CA, once it and the one that issues are trusted.
fn both_trusted(observed: &Observed) -> Result<CaId, Refusal> {
    let new = observed.newest().ok_or(Refusal::NoNewCa)?;
    let missing = [new, observed.issuing].into_iter().find(|ca| !observed.trusts(*ca));
    missing.map_or(Ok(new), |ca| Err(Refusal::Untrusted(ca)))
}

fn update_replicas(observed: &Observed) -> Result<(), Refusal> {
    let new = both_trusted(observed)?;
    let announced = matches!(observed.phase, RotationPhase::Init | RotationPhase::UpdateReplicas);
    if announced || observed.issuing == new { Ok(()) } else { Err(Refusal::TooEarly) }
}

fn update_brokers(observed: &Observed) -> Result<(), Refusal> {
    let new = observed.newest().ok_or(Refusal::NoNewCa)?;
    if !observed.trusts(new) {
        return Err(Refusal::Untrusted(new));
    }
    // An issuing CA that nobody trusts, of a broker from a backup, keeps nobody connected: it may go at once.
    let may_issue = observed.issuing == new || !observed.trusts(observed.issuing);
    if may_issue { Ok(()) } else { Err(Refusal::NotIssuing(new)) }
}

fn rollback(observed: &Observed) -> Result<(), Refusal> {
    let old = observed.previous().ok_or(Refusal::NoNewCa)?;
    if observed.trusts(old) { Ok(()) } else { Err(Refusal::Untrusted(old)) }
}

fn standby(observed: &Observed) -> Result<(), Refusal> {
    let issuing = observed.issuing;
    if !observed.trusts(issuing) {
        return Err(Refusal::Untrusted(issuing));
    }
    if observed.broker_issuer != Some(issuing) {
        return Err(Refusal::BrokerBehind);
    }
    let others = observed.cas.iter().find(|ca| **ca != issuing && observed.trusts(**ca));
    others.map_or(Ok(()), |ca| Err(Refusal::StillTrusted(*ca)))
}
