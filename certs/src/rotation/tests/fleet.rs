//! A small fleet that carries steps out, with crashes in the middle of them.

use std::collections::BTreeSet;

use tunnel_protos::v1::RotationPhase;

use super::{Goal, Missing, Observed, Step, ca, check_enter, next, replica};
use crate::rotation::CaId;

/// What goes wrong in one step, drawn at random: each bit lets one effect be missing or one thing happen besides.
pub(super) type Crash = u8;

/// What one replica holds.
struct Member {
    roots: Vec<CaId>,
    leaf: CaId,
    sequence: u64,
    acknowledged: Option<(RotationPhase, u64)>,
}

pub(super) struct Fleet {
    phase: RotationPhase,
    sequence: u64,
    roots: Vec<CaId>,
    cas: Vec<CaId>,
    issuing: CaId,
    broker_leaf: CaId,
    members: Vec<Member>,
    made: u8,
}

impl Fleet {
    pub(super) fn at_rest() -> Self {
        let old = ca(1);
        let member = || Member { roots: vec![old], leaf: old, sequence: 1, acknowledged: None };
        Self {
            phase: RotationPhase::Standby,
            sequence: 1,
            roots: vec![old],
            cas: vec![old],
            issuing: old,
            broker_leaf: old,
            members: (0..3).map(|_| member()).collect(),
            made: 1,
        }
    }

    /// As the job begins: with the goal to start until init is entered.
    pub(super) fn start(&mut self) {
        while self.phase != RotationPhase::Init {
            self.step(Goal::Start, 0);
        }
    }

    /// To its end, which must come once nothing crashes any more.
    pub(super) fn run(&mut self, goal: Goal, crashes: &[Crash]) {
        let quiet = std::iter::repeat_n(0, 60);
        for crash in crashes.iter().copied().chain(quiet) {
            self.step(goal, crash);
        }
    }

    pub(super) fn assert_ended(&self, wanted: u8) {
        assert_eq!(next(&self.observed(), Goal::Finish), Step::Done, "{:?}", self.observed());
        assert_eq!((&self.roots[..], &self.cas[..]), (&[ca(wanted)][..], &[ca(wanted)][..]));
    }

    /// Whether the old CA is no longer trusted.
    pub(super) fn is_past_return(&self) -> bool {
        !self.roots.contains(&ca(1))
    }

    pub(super) fn step(&mut self, goal: Goal, crash: Crash) {
        let step = next(&self.observed(), goal);
        match &step {
            Step::Done => {}
            Step::PrepareCa => self.prepare(),
            Step::Publish { roots } => self.publish(roots.clone()),
            Step::Enter(phase) => self.enter(*phase, crash),
            Step::Wait(Missing::Broker) => self.broker_leaf = self.issuing,
            Step::Wait(Missing::Replicas(_)) => {}
            Step::Stuck(stuck) => panic!("{stuck}: {:?}", self.observed()),
        }
        self.live(crash);
        self.assert_nobody_cut_off(&step);
    }

    fn observed(&self) -> Observed {
        let name = |at: usize| format!("r{at}");
        let members = self.members.iter().enumerate();
        Observed {
            phase: self.phase,
            sequence: self.sequence,
            roots: self.roots.clone(),
            cas: self.cas.clone(),
            issuing: self.issuing,
            broker_issuer: self.cas.contains(&self.broker_leaf).then_some(self.broker_leaf),
            replicas: members.map(|(at, member)| replica(&name(at), member.acknowledged)).collect(),
            passed: BTreeSet::new(),
        }
    }

    fn prepare(&mut self) {
        self.made += 1;
        self.cas.push(ca(self.made));
    }

    fn publish(&mut self, roots: Vec<CaId>) {
        (self.roots, self.sequence) = (roots, self.sequence + 1);
    }

    /// The broker may crash before or after any effect, and records the phase last.
    fn enter(&mut self, phase: RotationPhase, crash: Crash) {
        assert_eq!(check_enter(&self.observed(), phase), Ok(()), "{phase:?} from {:?}", self.observed());
        let (newest, previous) = (self.cas[self.cas.len() - 1], self.cas[self.cas.len().saturating_sub(2)]);
        let issuing = match phase {
            RotationPhase::UpdateReplicas | RotationPhase::UpdateBrokers => newest,
            RotationPhase::Rollback => previous,
            _ => self.issuing,
        };
        if crash & 1 != 0 {
            return;
        }
        self.issuing = issuing;
        if crash & 2 == 0 && matches!(phase, RotationPhase::UpdateBrokers | RotationPhase::Rollback) {
            self.broker_leaf = self.issuing;
        }
        if phase == RotationPhase::Standby {
            self.cas = vec![self.issuing];
        }
        if crash & 4 == 0 {
            self.phase = phase;
        }
    }

    /// Some replicas hear of it all, the others of nothing; leaves renew by themselves, and bundles for other reasons.
    fn live(&mut self, crash: Crash) {
        for (at, member) in self.members.iter_mut().enumerate() {
            if crash >> (3 + at) & 1 == 1 {
                continue;
            }
            member.roots.clone_from(&self.roots);
            (member.sequence, member.leaf) = (self.sequence, self.issuing);
            member.acknowledged = Some((self.phase, member.sequence));
        }
        if crash & 0b1100_0000 == 0b1100_0000 {
            self.sequence += 1;
        }
        if crash & 0b1100_0000 == 0b0100_0000 {
            self.broker_leaf = self.issuing;
        }
    }

    fn assert_nobody_cut_off(&self, step: &Step) {
        for member in &self.members {
            let holds = member.roots.contains(&self.broker_leaf) && self.roots.contains(&member.leaf);
            assert!(holds, "cut off by {step:?} at {:?}", self.observed());
        }
    }
}
