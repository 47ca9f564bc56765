//! The next step of a rotation.

use tunnel_protos::{Label, ReplicaId, v1::RotationPhase};

use super::observed::{CaId, Observed};

/// What the administrator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A new mesh CA: until init is entered. From then on the goal is to finish, or the next rotation would begin.
    Start,
    /// To finish what has begun, forward or back; a CA that was only prepared begins nothing.
    Finish,
    /// Back to the mesh CA before.
    RollBack,
}

/// One step. Each may be done again: a job that crashed between a step and its effect repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is under way.
    Done,
    /// Let the broker make the next mesh CA.
    PrepareCa,
    /// Publish a trust bundle with exactly these mesh roots, signed by a vendor key.
    Publish {
        /// The mesh roots.
        roots: Vec<CaId>,
    },
    /// Enter this phase: all that must be true first is.
    Enter(RotationPhase),
    /// Look again later.
    Wait(Missing),
    /// No step is safe.
    Stuck(Stuck),
}

/// What a rotation waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// These replicas have not acknowledged the phase; they may be banned or passed.
    Replicas(Vec<(Label, ReplicaId)>),
    /// The broker renews its own certificate.
    Broker,
}

/// Why no step is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The broker has lost the key of the CA that is trusted: restored from an old backup, or not its trust bundle.
    #[error(
        "no mesh CA of this broker is in the trust bundle in force: the broker was restored from an old backup, or \
         the bundle is another's. Restore the newest state, or give the broker a CA that the bundle has"
    )]
    Untrusted,
    /// The broker says that a CA issues that it does not have.
    #[error("the issuing mesh CA is none of this broker's")]
    Unknown,
    /// The old CA was already taken out of the trust bundle.
    #[error("the mesh CA before is no longer in the trust bundle: finish this rotation, then start another")]
    TooLate,
    /// A trust bundle has at most 4 mesh roots.
    #[error("the trust bundle has 4 mesh roots already; publish one without those that nobody uses")]
    TooManyRoots,
}

/// The next step.
pub fn next(observed: &Observed, goal: Goal) -> Step {
    if !observed.cas.contains(&observed.issuing) {
        return Step::Stuck(Stuck::Unknown);
    }
    if !observed.cas.iter().any(|ca| observed.trusts(*ca)) {
        return Step::Stuck(Stuck::Untrusted);
    }
    let going_back = observed.phase == RotationPhase::Rollback || goal == Goal::RollBack;
    match observed.newest() {
        _ if going_back => back(observed),
        Some(new) => forward(observed, new, goal),
        None => alone(observed, goal),
    }
}

/// With one CA: at rest, before a rotation, or after one of which only the last word is missing.
fn alone(observed: &Observed, goal: Goal) -> Step {
    match (observed.is_resting(), goal) {
        (true, Goal::Start) => Step::PrepareCa,
        (true, Goal::Finish | Goal::RollBack) => Step::Done,
        (false, _) if observed.broker_issuer != Some(observed.issuing) => Step::Wait(Missing::Broker),
        (false, _) if observed.roots == [observed.issuing] => Step::Enter(RotationPhase::Standby),
        // Another root may be a CA whose key was lost, which certified replicas: they come back to ours first.
        (false, _) => Step::Enter(RotationPhase::Rollback),
    }
}

fn forward(observed: &Observed, new: CaId, goal: Goal) -> Step {
    match (observed.trusts(new), observed.issuing == new) {
        (false, _) if observed.is_resting() && goal != Goal::Start => Step::Done,
        (false, _) => trust_too(observed, new),
        (true, false) => init(observed),
        (true, true) if observed.trusts_another_than(new) => update(observed, new),
        (true, true) => finish(observed, new),
    }
}

fn trust_too(observed: &Observed, new: CaId) -> Step {
    if observed.roots.len() >= MAX_ROOTS {
        return Step::Stuck(Stuck::TooManyRoots);
    }
    Step::Publish { roots: observed.roots.iter().copied().chain([new]).collect() }
}

/// The old CA still issues: all must trust the new one before it does.
fn init(observed: &Observed) -> Step {
    match observed.phase {
        // A broker from a backup issues what nobody trusts any more: there is nobody to wait for.
        _ if !observed.trusts(observed.issuing) => Step::Enter(RotationPhase::UpdateBrokers),
        RotationPhase::Init => after(observed, Step::Enter(RotationPhase::UpdateReplicas)),
        RotationPhase::UpdateReplicas => Step::Enter(RotationPhase::UpdateReplicas),
        _ => Step::Enter(RotationPhase::Init),
    }
}

/// The new CA issues, the old one is still trusted: first all replicas, then the brokers have new leaves.
fn update(observed: &Observed, new: CaId) -> Step {
    match observed.phase {
        RotationPhase::UpdateReplicas => after(observed, Step::Enter(RotationPhase::UpdateBrokers)),
        RotationPhase::UpdateBrokers if observed.broker_issuer != Some(new) => Step::Wait(Missing::Broker),
        RotationPhase::UpdateBrokers => {
            after(observed, Step::Publish { roots: observed.roots_with_only(new) })
        }
        _ => Step::Enter(RotationPhase::UpdateReplicas),
    }
}

/// Only the new CA is trusted: the broker forgets the others on entering standby, again if it crashed before.
fn finish(observed: &Observed, new: CaId) -> Step {
    match observed.broker_issuer == Some(new) {
        true => Step::Enter(RotationPhase::Standby),
        false => Step::Wait(Missing::Broker),
    }
}

/// Back to the CA before: all have its leaves again before the new one is distrusted and forgotten.
fn back(observed: &Observed) -> Step {
    let Some(old) = observed.previous() else { return Step::Stuck(Stuck::Unknown) };
    match observed.phase {
        _ if observed.is_resting() && observed.cas.len() == 1 => Step::Done,
        _ if !observed.trusts(old) => Step::Stuck(Stuck::TooLate),
        RotationPhase::Rollback if observed.issuing != old => Step::Enter(RotationPhase::Rollback),
        RotationPhase::Rollback if observed.broker_issuer != Some(old) => Step::Wait(Missing::Broker),
        RotationPhase::Rollback => distrust(observed, old),
        _ => Step::Enter(RotationPhase::Rollback),
    }
}

fn distrust(observed: &Observed, old: CaId) -> Step {
    let others = observed.roots.iter().any(|root| *root != old);
    match observed.trusts_another_than(old) {
        true => after(observed, Step::Publish { roots: observed.roots_with_only(old) }),
        // The new CA was never published, or a root's key was lost: then its leaves must be gone, too.
        false if others => after(observed, Step::Enter(RotationPhase::Standby)),
        false => Step::Enter(RotationPhase::Standby),
    }
}

/// `step`, once every replica has acknowledged the present phase, is banned or was passed.
fn after(observed: &Observed, step: Step) -> Step {
    let absent = observed.absent(observed.phase);
    if absent.is_empty() { step } else { Step::Wait(Missing::Replicas(absent)) }
}

/// As many as a trust bundle has.
const MAX_ROOTS: usize = 4;
