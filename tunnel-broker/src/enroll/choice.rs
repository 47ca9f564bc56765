//! Which mesh CA signs, and which phase of a rotation may follow which. Pure.
//! Invariant: nothing is ever signed by a CA that the trust bundle in force does not name.

use rustls::pki_types::CertificateDer;
use tunnel_certs::{roots::Roots, verify::Summary};
use tunnel_protos::{UnixMillis, v1::RotationPhase};

/// A mesh root of the trust bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// X.509.
    pub(super) der: CertificateDer<'static>,
    /// First moment: a younger CA follows an older one.
    pub(super) not_before: UnixMillis,
    /// Last moment.
    pub(super) not_after: UnixMillis,
}

/// Whose certificate is to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A replica's.
    Replica,
    /// The broker's own.
    Broker,
}

/// The roots that hold at `now`, oldest first.
pub(super) fn valid(roots: &Roots, now: UnixMillis) -> Vec<Root> {
    let holds = |root: &Root| (root.not_before..=root.not_after).contains(&now);
    in_order(roots).into_iter().filter(holds).collect()
}

/// All roots, whether or not they hold, oldest first.
pub(super) fn in_order(roots: &Roots) -> Vec<Root> {
    let read = |der: &CertificateDer<'static>| {
        let Summary { not_before, not_after, .. } = Summary::read(der).ok()?;
        Some(Root { der: der.clone(), not_before, not_after })
    };
    let mut roots: Vec<_> = roots.certificates().iter().filter_map(read).collect();
    // Of two made in the same second, all sides must mean the same one.
    roots.sort_by(|one, other| (one.not_before, &*one.der).cmp(&(other.not_before, &*other.der)));
    roots
}

/// The root that signs in `phase`; `roots` are valid and oldest first.
pub(super) fn signs(roots: &[Root], phase: RotationPhase, whose: Whose) -> Option<&Root> {
    match (phase, whose) {
        (RotationPhase::UpdateReplicas, Whose::Replica) | (RotationPhase::UpdateBrokers, _) => roots.last(),
        // While replicas are updated, what they see of brokers stays as it is: one change at a time.
        (RotationPhase::UpdateReplicas, Whose::Broker)
        | (
            RotationPhase::Standby
            | RotationPhase::Init
            | RotationPhase::Rollback
            | RotationPhase::Unspecified,
            _,
        ) => roots.first(),
    }
}

/// Why a phase may not be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PhaseError {
    /// Not a phase.
    #[error("not a phase of the rotation")]
    Unspecified,
    /// Out of order.
    #[error("phases are entered in their order: standby, init, update-replicas, update-brokers, standby")]
    Order,
    /// There is nothing to rotate to.
    #[error("the trust bundle in force names only one mesh CA; publish one that names both first")]
    OneRoot,
    /// The old CA would sign again.
    #[error("the trust bundle in force still names the old mesh CA; publish one without it, or roll back")]
    TwoRoots,
    /// Nobody could sign.
    #[error("the key of the mesh CA that would sign then is not here")]
    NoKey,
}

/// Whether `to` may follow `from`; `has_key` says of a root whether its key is here.
pub(super) fn check(
    (from, to): (RotationPhase, RotationPhase),
    roots: &[Root],
    has_key: impl Fn(&Root) -> bool,
) -> Result<(), PhaseError> {
    use RotationPhase::{Init, Rollback, Standby, Unspecified, UpdateBrokers, UpdateReplicas};
    match (from, to) {
        (_, Unspecified) => return Err(PhaseError::Unspecified),
        (same, again) if same == again => return Ok(()),
        (Standby | Unspecified, Init)
        | (Init | Rollback, Standby)
        | (Init | UpdateReplicas | UpdateBrokers, Rollback) => {}
        (Init, UpdateReplicas) | (UpdateReplicas, UpdateBrokers) if roots.len() < 2 => {
            return Err(PhaseError::OneRoot);
        }
        (Init, UpdateReplicas) | (UpdateReplicas, UpdateBrokers) => {}
        (UpdateBrokers, Standby) if roots.len() > 1 => return Err(PhaseError::TwoRoots),
        (UpdateBrokers, Standby) => {}
        _ => return Err(PhaseError::Order),
    }
    let both = [Whose::Replica, Whose::Broker].map(|whose| signs(roots, to, whose));
    if both.iter().all(|root| root.is_some_and(&has_key)) { Ok(()) } else { Err(PhaseError::NoKey) }
}

#[cfg(test)]
mod tests {
    use tunnel_protos::v1::RotationPhase::{
        Init, Rollback, Standby, Unspecified, UpdateBrokers, UpdateReplicas,
    };

    use super::*;

    fn roots(count: u8) -> Vec<Root> {
        let root = |n: u8| Root {
            der: vec![n].into(),
            not_before: UnixMillis(n.into()),
            not_after: UnixMillis(100),
        };
        (1..=count).map(root).collect()
    }

    fn signer(count: u8, phase: RotationPhase, whose: Whose) -> Option<u8> {
        signs(&roots(count), phase, whose).map(|root| root.der[0])
    }

    #[test]
    fn the_only_root_signs_in_every_phase() {
        for phase in [Standby, Init, UpdateReplicas, UpdateBrokers, Rollback] {
            assert_eq!(signer(1, phase, Whose::Replica), Some(1), "{phase:?}");
            assert_eq!(signer(0, phase, Whose::Replica), None, "{phase:?}");
        }
    }

    #[test]
    fn of_two_the_phase_says_which_signs() {
        for (phase, replica, broker) in
            [(Standby, 1, 1), (Init, 1, 1), (UpdateReplicas, 2, 1), (UpdateBrokers, 2, 2), (Rollback, 1, 1)]
        {
            assert_eq!(signer(2, phase, Whose::Replica), Some(replica), "{phase:?}");
            assert_eq!(signer(2, phase, Whose::Broker), Some(broker), "{phase:?}");
        }
    }

    fn enter(from: RotationPhase, to: RotationPhase, count: u8) -> Result<(), PhaseError> {
        check((from, to), &roots(count), |_| true)
    }

    #[test]
    fn phases_follow_their_order() {
        let order = [Standby, Init, UpdateReplicas, UpdateBrokers];
        for pair in order.windows(2) {
            assert_eq!(enter(pair[0], pair[1], 2), Ok(()), "{pair:?}");
        }
        assert_eq!(enter(UpdateBrokers, Standby, 1), Ok(()));
        for from in order {
            assert_eq!(enter(from, from, 1), Ok(()), "again {from:?}");
        }
        for (from, to) in [
            (Standby, UpdateReplicas),
            (Standby, UpdateBrokers),
            (Standby, Rollback),
            (Init, UpdateBrokers),
            (UpdateReplicas, Init),
            (UpdateReplicas, Standby),
            (UpdateBrokers, UpdateReplicas),
            (Rollback, UpdateReplicas),
        ] {
            assert_eq!(enter(from, to, 2), Err(PhaseError::Order), "{from:?} to {to:?}");
        }
        assert_eq!(enter(Init, Unspecified, 2), Err(PhaseError::Unspecified));
    }

    #[test]
    fn every_change_can_be_rolled_back() {
        for from in [Init, UpdateReplicas, UpdateBrokers] {
            assert_eq!(enter(from, Rollback, 2), Ok(()), "{from:?}");
        }
        assert_eq!(enter(Rollback, Standby, 2), Ok(()));
    }

    #[test]
    fn certificates_must_allow_a_phase() {
        assert_eq!(enter(Init, UpdateReplicas, 1), Err(PhaseError::OneRoot));
        assert_eq!(enter(UpdateReplicas, UpdateBrokers, 1), Err(PhaseError::OneRoot));
        assert_eq!(enter(UpdateBrokers, Standby, 2), Err(PhaseError::TwoRoots));
        let without_new = |root: &Root| root.der[0] == 1;
        assert_eq!(check((Init, UpdateReplicas), &roots(2), without_new), Err(PhaseError::NoKey));
        let without_old = |root: &Root| root.der[0] == 2;
        assert_eq!(check((UpdateReplicas, Rollback), &roots(2), without_old), Err(PhaseError::NoKey));
        assert_eq!(check((Standby, Init), &roots(1), |_| false), Err(PhaseError::NoKey));
    }
}
