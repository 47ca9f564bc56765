//! Which mesh CA signs, by the phase of a rotation. Pure.
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

/// Why a phase may not be entered. Whether it is time for it is not asked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PhaseError {
    /// Not a phase.
    #[error("not a phase of the rotation")]
    Unspecified,
    /// Nobody could sign.
    #[error("the key of none of the mesh CAs that the trust bundle in force names is here")]
    NoKey,
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

/// The CA that signs in `phase`, of those that are trusted and whose keys are here, oldest first.
pub(super) fn signs<T>(cas: &[T], phase: RotationPhase, whose: Whose) -> Option<&T> {
    match (phase, whose) {
        (RotationPhase::UpdateReplicas, Whose::Replica) | (RotationPhase::UpdateBrokers, _) => cas.last(),
        // While replicas are updated, what they see of brokers stays as it is: one change at a time.
        (RotationPhase::UpdateReplicas, Whose::Broker)
        | (
            RotationPhase::Standby
            | RotationPhase::Init
            | RotationPhase::Rollback
            | RotationPhase::Unspecified,
            _,
        ) => cas.first(),
    }
}

#[cfg(test)]
mod tests {
    use tunnel_protos::v1::RotationPhase::{Init, Rollback, Standby, UpdateBrokers, UpdateReplicas};

    use super::*;

    #[test]
    fn the_only_ca_signs_in_every_phase_and_without_one_nobody_does() {
        for phase in [Standby, Init, UpdateReplicas, UpdateBrokers, Rollback] {
            for whose in [Whose::Replica, Whose::Broker] {
                assert_eq!(signs(&[1], phase, whose), Some(&1), "{phase:?} {whose:?}");
                assert_eq!(signs::<u8>(&[], phase, whose), None, "{phase:?} {whose:?}");
            }
        }
    }

    #[test]
    fn of_two_the_phase_says_which_signs() {
        for (phase, replica, broker) in
            [(Standby, 1, 1), (Init, 1, 1), (UpdateReplicas, 2, 1), (UpdateBrokers, 2, 2), (Rollback, 1, 1)]
        {
            assert_eq!(signs(&[1, 2], phase, Whose::Replica), Some(&replica), "{phase:?}");
            assert_eq!(signs(&[1, 2], phase, Whose::Broker), Some(&broker), "{phase:?}");
        }
    }
}
