//! Every phase, every crash, and brokers that come back from a backup.

mod fleet;

use std::collections::BTreeSet;

use proptest::prelude::*;
use tunnel_protos::v1::RotationPhase::{self, Init, Rollback, Standby, UpdateBrokers, UpdateReplicas};

use self::fleet::{Crash, Fleet};
use super::*;
use crate::{
    issue::CaKind,
    testing::{Ca, NOW, identities, label, shape},
};

/// Old, new, and one of another issuer.
fn ca(number: u8) -> CaId {
    CaId::of(&[number])
}

const OLD: u8 = 1;
const NEW: u8 = 2;
const FOREIGN: u8 = 9;

/// Where the certificates are, with nobody to wait for.
fn at(phase: RotationPhase, roots: &[u8], cas: &[u8], issuing: u8, broker: u8) -> Observed {
    Observed {
        phase,
        sequence: 5,
        roots: roots.iter().copied().map(ca).collect(),
        cas: cas.iter().copied().map(ca).collect(),
        issuing: ca(issuing),
        broker_issuer: Some(ca(broker)),
        replicas: vec![],
        passed: BTreeSet::new(),
    }
}

fn publish(roots: &[u8]) -> Step {
    Step::Publish { roots: roots.iter().copied().map(ca).collect() }
}

fn replica(id: &str, acknowledged: Option<(RotationPhase, u64)>) -> Replica {
    Replica { label: label(), id: id.parse().unwrap(), acknowledged }
}

#[test]
fn goes_forward_step_by_step() {
    for (observed, wanted) in [
        (at(Standby, &[OLD], &[OLD], OLD, OLD), Step::PrepareCa),
        (at(Standby, &[OLD], &[OLD, NEW], OLD, OLD), publish(&[OLD, NEW])),
        (at(Standby, &[OLD, NEW], &[OLD, NEW], OLD, OLD), Step::Enter(Init)),
        (at(Init, &[OLD, NEW], &[OLD, NEW], OLD, OLD), Step::Enter(UpdateReplicas)),
        (at(UpdateReplicas, &[OLD, NEW], &[OLD, NEW], NEW, OLD), Step::Enter(UpdateBrokers)),
        (at(UpdateBrokers, &[OLD, NEW], &[OLD, NEW], NEW, NEW), publish(&[NEW])),
        (at(UpdateBrokers, &[NEW], &[OLD, NEW], NEW, NEW), Step::Enter(Standby)),
    ] {
        assert_eq!(next(&observed, Goal::Start), wanted, "{observed:?}");
    }
    assert_eq!(next(&at(Standby, &[NEW], &[NEW], NEW, NEW), Goal::Finish), Step::Done);
}

#[test]
fn goes_back_from_every_phase() {
    for (observed, wanted) in [
        (at(Standby, &[OLD], &[OLD, NEW], OLD, OLD), Step::Enter(Rollback)),
        (at(Init, &[OLD, NEW], &[OLD, NEW], OLD, OLD), Step::Enter(Rollback)),
        (at(UpdateReplicas, &[OLD, NEW], &[OLD, NEW], NEW, OLD), Step::Enter(Rollback)),
        (at(UpdateBrokers, &[OLD, NEW], &[OLD, NEW], NEW, NEW), Step::Enter(Rollback)),
        (at(Rollback, &[OLD, NEW], &[OLD, NEW], NEW, NEW), Step::Enter(Rollback)),
        (at(Rollback, &[OLD, NEW], &[OLD, NEW], OLD, NEW), Step::Wait(Missing::Broker)),
        (at(Rollback, &[OLD, NEW], &[OLD, NEW], OLD, OLD), publish(&[OLD])),
        (at(Rollback, &[OLD], &[OLD, NEW], OLD, OLD), Step::Enter(Standby)),
        (at(Standby, &[OLD], &[OLD], OLD, OLD), Step::Done),
    ] {
        assert_eq!(next(&observed, Goal::RollBack), wanted, "{observed:?}");
    }
    let late = at(UpdateBrokers, &[NEW], &[OLD, NEW], NEW, NEW);
    assert_eq!(next(&late, Goal::RollBack), Step::Stuck(Stuck::TooLate));
}

#[test]
fn a_rollback_that_began_is_finished_whatever_the_goal() {
    let observed = at(Rollback, &[OLD, NEW], &[OLD, NEW], OLD, OLD);
    for goal in [Goal::Start, Goal::Finish, Goal::RollBack] {
        assert_eq!(next(&observed, goal), publish(&[OLD]));
    }
}

#[test]
fn goes_on_from_the_certificates_after_a_crash() {
    for (observed, wanted) in [
        // Between what a phase does and its record.
        (at(Init, &[OLD, NEW], &[OLD, NEW], NEW, OLD), Step::Enter(UpdateReplicas)),
        (at(Standby, &[OLD, NEW], &[OLD, NEW], NEW, NEW), Step::Enter(UpdateReplicas)),
        (at(UpdateReplicas, &[OLD, NEW], &[OLD, NEW], NEW, NEW), Step::Enter(UpdateBrokers)),
        (at(UpdateBrokers, &[NEW], &[NEW], NEW, NEW), Step::Enter(Standby)),
        (at(Rollback, &[OLD], &[OLD], OLD, OLD), Step::Enter(Standby)),
        // Between the record and what the phase does.
        (at(UpdateReplicas, &[OLD, NEW], &[OLD, NEW], OLD, OLD), Step::Enter(UpdateReplicas)),
        (at(UpdateBrokers, &[OLD, NEW], &[OLD, NEW], NEW, OLD), Step::Wait(Missing::Broker)),
        (at(Standby, &[NEW], &[OLD, NEW], NEW, NEW), Step::Enter(Standby)),
        // Only prepared.
        (at(Standby, &[OLD], &[OLD, NEW], OLD, OLD), Step::Done),
    ] {
        assert_eq!(next(&observed, Goal::Finish), wanted, "{observed:?}");
    }
}

#[test]
fn a_broker_from_a_backup_goes_on_or_says_that_it_cannot() {
    for (observed, wanted) in [
        // Before the new CA was made, while the trust bundle is newer: what it issues is still trusted.
        (at(Standby, &[OLD, NEW], &[OLD], OLD, OLD), Step::Done),
        // The database is newer than the folder of CAs: replicas come back from the CA whose key was lost.
        (at(UpdateReplicas, &[OLD, NEW], &[OLD], OLD, OLD), Step::Enter(Rollback)),
        (at(Rollback, &[OLD, NEW], &[OLD], OLD, OLD), Step::Enter(Standby)),
        // The folder of CAs is newer than the database.
        (at(Standby, &[OLD, NEW], &[OLD, NEW], OLD, OLD), Step::Enter(Init)),
        (at(Standby, &[NEW], &[OLD, NEW], OLD, OLD), Step::Enter(UpdateBrokers)),
        // After the old CA went.
        (at(Standby, &[NEW], &[OLD], OLD, OLD), Step::Stuck(Stuck::Untrusted)),
        (at(UpdateBrokers, &[NEW], &[OLD], OLD, OLD), Step::Stuck(Stuck::Untrusted)),
        (at(Standby, &[OLD], &[OLD], NEW, OLD), Step::Stuck(Stuck::Unknown)),
    ] {
        assert_eq!(next(&observed, Goal::Finish), wanted, "{observed:?}");
        if let Step::Enter(phase) = wanted {
            assert_eq!(check_enter(&observed, phase), Ok(()), "{observed:?}");
        }
    }
}

#[test]
fn roots_of_other_issuers_are_never_touched() {
    let both = at(Standby, &[OLD, FOREIGN], &[OLD, NEW], OLD, OLD);
    assert_eq!(next(&both, Goal::Start), publish(&[OLD, FOREIGN, NEW]));
    let last = at(UpdateBrokers, &[OLD, FOREIGN, NEW], &[OLD, NEW], NEW, NEW);
    assert_eq!(next(&last, Goal::Finish), publish(&[FOREIGN, NEW]));
    let back = at(Rollback, &[OLD, FOREIGN, NEW], &[OLD, NEW], OLD, OLD);
    assert_eq!(next(&back, Goal::RollBack), publish(&[OLD, FOREIGN]));
    let full = at(Standby, &[OLD, 7, 8, FOREIGN], &[OLD, NEW], OLD, OLD);
    assert_eq!(next(&full, Goal::Start), Step::Stuck(Stuck::TooManyRoots));
}

#[test]
fn waits_for_each_replica_to_acknowledge_this_phase_and_bundle() {
    let mut observed = at(Init, &[OLD, NEW], &[OLD, NEW], OLD, OLD);
    for not_enough in
        [None, Some((Init, 4)), Some((UpdateReplicas, 5)), Some((Rollback, 5)), Some((Standby, 9))]
    {
        observed.replicas = vec![replica("r1", Some((Init, 5))), replica("r2", not_enough)];
        let missing = Missing::Replicas(vec![(label(), "r2".parse().unwrap())]);
        assert_eq!(next(&observed, Goal::Finish), Step::Wait(missing), "{not_enough:?}");
    }
    observed.replicas[1].acknowledged = Some((Init, 6));
    assert_eq!(next(&observed, Goal::Finish), Step::Enter(UpdateReplicas));
}

#[test]
fn goes_on_without_the_passed() {
    for (phase, issuing, broker, wanted) in [
        (Init, OLD, OLD, Step::Enter(UpdateReplicas)),
        (UpdateReplicas, NEW, OLD, Step::Enter(UpdateBrokers)),
        (UpdateBrokers, NEW, NEW, publish(&[NEW])),
        (Rollback, OLD, OLD, publish(&[OLD])),
    ] {
        let mut observed = at(phase, &[OLD, NEW], &[OLD, NEW], issuing, broker);
        observed.replicas = vec![replica("r1", None)];
        assert!(matches!(next(&observed, Goal::Finish), Step::Wait(Missing::Replicas(_))));
        let passed = BTreeSet::from([(label(), "r1".parse().unwrap())]);
        assert_eq!(next(&Observed { passed, ..observed }, Goal::Finish), wanted);
    }
}

#[test]
fn a_phase_is_refused_while_the_certificates_do_not_allow_it() {
    let rest = at(Standby, &[OLD], &[OLD], OLD, OLD);
    let prepared = at(Standby, &[OLD], &[OLD, NEW], OLD, OLD);
    let trusted = at(Standby, &[OLD, NEW], &[OLD, NEW], OLD, OLD);
    let issuing = at(UpdateReplicas, &[OLD, NEW], &[OLD, NEW], NEW, OLD);
    for (observed, phase, wanted) in [
        (&rest, RotationPhase::Unspecified, Err(Refusal::NoPhase)),
        (&rest, Init, Err(Refusal::NoNewCa)),
        (&rest, Standby, Ok(())),
        (&prepared, Init, Err(Refusal::Untrusted(ca(NEW)))),
        (&prepared, Rollback, Ok(())),
        (&trusted, Init, Ok(())),
        (&trusted, UpdateReplicas, Err(Refusal::TooEarly)),
        (&trusted, UpdateBrokers, Err(Refusal::NotIssuing(ca(NEW)))),
        (&trusted, Standby, Err(Refusal::StillTrusted(ca(NEW)))),
        (&issuing, UpdateBrokers, Ok(())),
        (&issuing, Standby, Err(Refusal::BrokerBehind)),
        (&at(UpdateBrokers, &[NEW], &[OLD, NEW], NEW, NEW), Rollback, Err(Refusal::Untrusted(ca(OLD)))),
        (&at(UpdateBrokers, &[NEW], &[OLD, NEW], NEW, NEW), Standby, Ok(())),
        (&at(Init, &[NEW], &[OLD, NEW], OLD, OLD), UpdateReplicas, Err(Refusal::Untrusted(ca(OLD)))),
    ] {
        assert_eq!(check_enter(observed, phase), wanted, "{phase:?} from {observed:?}");
    }
}

#[test]
fn the_issuer_of_a_leaf_is_told_by_its_signature() {
    let (old, new, other) = (Ca::new(CaKind::Mesh), Ca::new(CaKind::Mesh), Ca::new(CaKind::Mesh));
    let cas = [old.authority.certificate().clone(), new.authority.certificate().clone()];
    let [broker, ..] = identities();
    let leaf = new.forge(&shape(&broker));
    assert_eq!(CaId::issuer_of(&leaf, &cas), Some(CaId::of(&cas[1])));
    assert_eq!(CaId::issuer_of(&other.forge(&shape(&broker)), &cas), None);
    assert_eq!(CaId::issuer_of(&b"garbage".to_vec().into(), &cas), None);
    let renamed = Ca::made_at(CaKind::Mesh, NOW);
    assert_eq!(CaId::issuer_of(&renamed.forge(&shape(&broker)), &cas), None);
}

proptest! {
    /// Whatever crashes and whoever lags: it ends, and nobody who was waited for is ever cut off.
    #[test]
    fn a_rotation_ends_and_cuts_nobody_off(crashes in proptest::collection::vec(any::<Crash>(), 0..40)) {
        let mut fleet = Fleet::at_rest();
        fleet.start();
        fleet.run(Goal::Finish, &crashes);
        fleet.assert_ended(2);
    }

    #[test]
    fn a_rollback_at_any_moment_ends_and_cuts_nobody_off(
        after in 0usize..30,
        crashes in proptest::collection::vec(any::<Crash>(), 0..40),
    ) {
        let mut fleet = Fleet::at_rest();
        fleet.start();
        for crash in crashes.iter().cycle().take(after) {
            fleet.step(Goal::Finish, *crash);
        }
        let is_late = fleet.is_past_return();
        fleet.run(if is_late { Goal::Finish } else { Goal::RollBack }, &crashes);
        fleet.assert_ended(if is_late { 2 } else { 1 });
    }
}
