//! What is known of a fleet's mesh CAs and replicas when a step is decided.

use std::{collections::BTreeSet, fmt};

use rustls_pki_types::CertificateDer;
use tunnel_protos::{Label, ReplicaId, v1::RotationPhase};

use crate::{
    crypto,
    roots::Roots,
    verify::{Leaf, client},
};

/// A mesh CA by the digest of its certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaId([u8; 32]);

impl CaId {
    /// Of a CA certificate (DER).
    pub fn of(certificate: &[u8]) -> Self {
        Self(crypto::sha256(certificate))
    }

    /// The one of `cas` that signed `leaf`; none if none did, or the leaf cannot be read.
    pub fn issuer_of(leaf: &CertificateDer<'_>, cas: &[CertificateDer<'static>]) -> Option<Self> {
        let read = Leaf::read(leaf).ok()?;
        let signed = |ca: &&CertificateDer<'static>| {
            let roots = Roots::new(vec![(*ca).clone()]);
            roots.is_ok_and(|roots| roots.issuer_of(leaf, &read, client(), read.not_before).is_ok())
        };
        cas.iter().find(signed).map(|ca| Self::of(ca))
    }
}

impl fmt::Debug for CaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaId({self})")
    }
}

/// The first 16 hexadecimal digits, for people.
impl fmt::Display for CaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0[..8]))
    }
}

/// All that a step is decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The phase that was entered last; unspecified counts as standby.
    pub phase: RotationPhase,
    /// Sequence of the trust bundle in force.
    pub sequence: u64,
    /// Mesh roots of the trust bundle in force. Those whose keys are not in `cas` are other issuers', never touched.
    pub roots: Vec<CaId>,
    /// CAs whose keys the broker has, oldest first; at least one.
    pub cas: Vec<CaId>,
    /// The one that issues.
    pub issuing: CaId,
    /// Which of `cas` signed the broker's own leaf; none if none did.
    pub broker_issuer: Option<CaId>,
    /// All replicas whose certificate could still be renewed; banned ones are not among them.
    pub replicas: Vec<Replica>,
    /// Replicas that an administrator goes on without: they may have to enroll again.
    pub passed: BTreeSet<(Label, ReplicaId)>,
}

/// How far one replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its cluster.
    pub label: Label,
    /// Which.
    pub id: ReplicaId,
    /// Phase and trust bundle of its newest acknowledgement, whose signature by the cluster key the caller checked.
    pub acknowledged: Option<(RotationPhase, u64)>,
}

impl Observed {
    /// The CA that a rotation goes to, if one was made.
    pub(super) fn newest(&self) -> Option<CaId> {
        if self.cas.len() > 1 { self.cas.last().copied() } else { None }
    }

    /// The CA that a rollback goes back to.
    pub(super) fn previous(&self) -> Option<CaId> {
        let before_last = self.cas.len().saturating_sub(2);
        self.cas.get(before_last).copied()
    }

    /// Whether no phase was announced.
    pub(super) fn is_resting(&self) -> bool {
        matches!(self.phase, RotationPhase::Unspecified | RotationPhase::Standby)
    }

    pub(super) fn trusts(&self, ca: CaId) -> bool {
        self.roots.contains(&ca)
    }

    /// Roots of ours besides `ca`.
    pub(super) fn trusts_another_than(&self, ca: CaId) -> bool {
        self.cas.iter().any(|own| *own != ca && self.trusts(*own))
    }

    /// The trust bundle's roots without ours, except `ca`.
    pub(super) fn roots_with_only(&self, ca: CaId) -> Vec<CaId> {
        self.roots.iter().filter(|root| **root == ca || !self.cas.contains(root)).copied().collect()
    }

    /// Who has not yet acknowledged exactly this phase with the trust bundle in force, or a later one.
    ///
    /// An acknowledgement of another phase says nothing: after a rollback the same phases come again.
    pub(super) fn absent(&self, phase: RotationPhase) -> Vec<(Label, ReplicaId)> {
        let done = |replica: &&Replica| {
            let acknowledged = replica.acknowledged;
            acknowledged.is_some_and(|(at, sequence)| at == phase && sequence >= self.sequence)
        };
        let waited = self.replicas.iter().filter(|replica| !done(replica));
        let names = waited.map(|replica| (replica.label, replica.id.clone()));
        names.filter(|name| !self.passed.contains(name)).collect()
    }
}
