//! What the certificates say: the trust bundle by the vendor's key, acknowledgements by the clusters' keys or by mesh
//! certificates, and the broker's own certificate. The broker's word counts only for who is there at all.

use std::{collections::BTreeMap, time::Duration};

use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_certs::{
    key::PublicKey,
    rotation::{self, CaId},
    statement::ack::{self, By},
    verify::MeshVerifier,
};
use tunnel_protos::{
    ClusterName, Label, ReplicaId, UnixMillis,
    operators::{ReplicaRotation, RotationStatus},
    time::lasting,
    v1::RotationPhase,
};

use super::{Error, phase_name};
use crate::{commands::shortened, console::safe, failure::Failure, office::Office, trust::Current};

/// Names and cluster keys by label, from proven entries.
pub(crate) type Keys = BTreeMap<Label, (ClusterName, PublicKey)>;

/// All that was seen at one moment.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) trust: Current,
    pub(crate) phase: RotationPhase,
    /// CA certificates that matter: of the trust bundle, and of the broker.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    /// What decides.
    pub(crate) facts: rotation::Observed,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) at: UnixMillis,
}

/// One replica, as far as people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) label: Label,
    pub(crate) id: ReplicaId,
    /// `acme/prod/r-1`, or with the label where no entry is proven.
    pub(crate) name: String,
    pub(crate) connected: bool,
    pub(crate) last_seen: UnixMillis,
    /// Phase and sequence that it acknowledged, proven by its cluster's key or its own mesh certificate.
    pub(crate) acknowledged: Option<(RotationPhase, u64)>,
    /// Which of both.
    pub(crate) by: Option<By>,
}

/// Which replicas are not waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passes {
    /// `label/replica` or `customer/cluster/replica`.
    pub(crate) named: Vec<String>,
    /// All that were away for longer.
    pub(crate) older_than: Option<Duration>,
}

/// Who is there, who is passed, and who is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) of: usize,
    pub(crate) acknowledged: usize,
    /// Those of them that are proven by a mesh certificate, which the broker could make itself.
    pub(crate) by_mesh: usize,
    pub(crate) passed: Vec<String>,
    pub(crate) absent: Vec<String>,
}

impl Observed {
    /// Looks at everything once; `prepared` is a CA that this very job had made.
    pub(crate) async fn look(
        office: &Office,
        prepared: Option<&CertificateDer<'static>>,
        passes: &Passes,
        now: UnixMillis,
    ) -> Result<Self, Failure> {
        let trust = office.trust().await?;
        let status = office.api().rotation().await?;
        let keys = office.keys(now).await?;
        Ok(Self::read(&status, trust, &keys, prepared, passes, now)?)
    }

    /// Puts together what was seen.
    pub(crate) fn read(
        status: &RotationStatus,
        trust: Current,
        keys: &Keys,
        prepared: Option<&CertificateDer<'static>>,
        passes: &Passes,
        now: UnixMillis,
    ) -> Result<Self, Error> {
        let phase = phase(status)?;
        let mesh = MeshVerifier::new(trust.bundle.vendor.clone(), trust.bundle.mesh_roots.clone());
        let read = |said| Replica::read(said, keys, &mesh, now);
        let replicas: Vec<_> = status.replicas.iter().filter_map(read).collect();
        let cas = cas(status, &trust, prepared, phase);
        let leaf = CertificateDer::from(status.broker_certificate.clone());
        let passed = replicas.iter().filter(|replica| passes.covers(replica, now));
        let facts = rotation::Observed {
            phase,
            sequence: trust.bundle.sequence,
            roots: ids(trust.bundle.mesh_roots.certificates()),
            issuing: CaId::of(&status.issuing),
            broker_issuer: CaId::issuer_of(&leaf, &cas),
            passed: passed.map(|replica| (replica.label, replica.id.clone())).collect(),
            replicas: replicas.iter().map(Replica::fact).collect(),
            cas: ids(&cas),
        };
        let mut authorities = trust.bundle.mesh_roots.certificates().to_vec();
        authorities.extend(cas.into_iter().filter(|ca| !trust.bundle.mesh_roots.certificates().contains(ca)));
        Ok(Self { trust, phase, authorities, facts, replicas, at: now })
    }

    /// The certificate of a CA that was seen.
    pub(crate) fn authority(&self, id: CaId) -> Option<&CertificateDer<'static>> {
        self.authorities.iter().find(|der| CaId::of(der) == id)
    }

    /// Whether no rotation is under way.
    pub(crate) fn is_resting(&self) -> bool {
        let resting = matches!(self.phase, RotationPhase::Standby | RotationPhase::Unspecified);
        resting && self.facts.cas.len() == 1
    }

    /// Who acknowledged the phase under the bundle in force.
    pub(crate) fn count(&self) -> Count {
        let mut count = Count { of: self.replicas.len(), ..Count::default() };
        for replica in &self.replicas {
            if replica.is_at(self.phase, self.trust.bundle.sequence) {
                count.acknowledged += 1;
                count.by_mesh += usize::from(replica.by == Some(By::Mesh));
            } else if self.facts.passed.contains(&(replica.label, replica.id.clone())) {
                count.passed.push(replica.shown(self.at));
            } else {
                count.absent.push(replica.shown(self.at));
            }
        }
        count
    }
}

/// The broker's CAs that matter for a rotation, oldest first: trusted ones, the one that issues, and the one that it
/// goes to. Brokers keep those that rotations before have left behind.
fn cas(
    status: &RotationStatus,
    trust: &Current,
    prepared: Option<&CertificateDer<'static>>,
    phase: RotationPhase,
) -> Vec<CertificateDer<'static>> {
    let resting = matches!(phase, RotationPhase::Standby | RotationPhase::Unspecified);
    let is_next = |index: usize| index + 1 == status.mesh_cas.len() && !resting;
    let matters = |(index, der): &(usize, &Vec<u8>)| {
        let der = CertificateDer::from(der.as_slice());
        trust.bundle.mesh_roots.certificates().contains(&der)
            || *status.issuing == *der
            || prepared.is_some_and(|prepared| *prepared == der)
            || is_next(*index)
    };
    let all = status.mesh_cas.iter().enumerate();
    all.filter(matters).map(|(_, der)| CertificateDer::from(der.clone())).collect()
}

fn phase(status: &RotationStatus) -> Result<RotationPhase, Error> {
    match RotationPhase::try_from(status.phase) {
        Ok(RotationPhase::Unspecified) => Ok(RotationPhase::Standby),
        Ok(phase) => Ok(phase),
        Err(_) => Err(Error::Phase),
    }
}

fn ids(ders: &[CertificateDer<'static>]) -> Vec<CaId> {
    ders.iter().map(|der| CaId::of(der)).collect()
}

impl Replica {
    fn read(said: &ReplicaRotation, keys: &Keys, mesh: &MeshVerifier, now: UnixMillis) -> Option<Self> {
        let (label, id) = (said.label.parse().ok()?, said.replica.parse().ok()?);
        let known = keys.get(&label);
        let name = known.map_or_else(|| label.to_string(), |(cluster, _)| cluster.to_string());
        let provers = ack::Provers { cluster_key: known.map(|(_, key)| key), mesh };
        let proven = acknowledged(said, provers, (label, &id), now);
        Some(Self {
            name: format!("{name}/{id}"),
            acknowledged: proven.as_ref().map(|(ack, _)| (ack.phase, ack.sequence)),
            by: proven.map(|(_, by)| by),
            connected: said.connected,
            last_seen: UnixMillis(said.last_seen_ms),
            label,
            id,
        })
    }

    fn fact(&self) -> rotation::Replica {
        let (label, id) = (self.label, self.id.clone());
        rotation::Replica { label, id, acknowledged: self.acknowledged }
    }

    /// Whether it said that `phase` is done, under a bundle that is at least this new.
    fn is_at(&self, phase: RotationPhase, sequence: u64) -> bool {
        self.acknowledged.is_some_and(|(said, under)| said == phase && under >= sequence)
    }

    fn shown(&self, now: UnixMillis) -> String {
        match (self.connected, self.last_seen.0) {
            (true, _) => format!("{} (connected)", self.name),
            (false, 0) => format!("{} (never seen)", self.name),
            (false, _) => format!("{} (away for {})", self.name, lasting(now.since(self.last_seen))),
        }
    }
}

/// What a replica acknowledged, proven and about nobody else.
fn acknowledged(
    said: &ReplicaRotation,
    provers: ack::Provers<'_>,
    who: (Label, &ReplicaId),
    now: UnixMillis,
) -> Option<(ack::Acknowledgement, By)> {
    let bytes = said.acknowledgement.as_ref()?.encode_to_vec();
    let opened = ack::open(&bytes, provers, now).ok();
    opened.filter(|(ack, _)| (ack.label, &ack.replica) == who)
}

impl Passes {
    fn covers(&self, replica: &Replica, now: UnixMillis) -> bool {
        let by_label = format!("{}/{}", replica.label, replica.id);
        let named = self.named.iter().any(|name| *name == by_label || *name == replica.name);
        // One that is connected is not absent; it can and must speak for itself.
        let old = self.older_than.is_some_and(|age| now.since(replica.last_seen) > age);
        named || (old && !replica.connected)
    }
}

impl Count {
    /// `init: 287 of 300 acknowledged, 13 absent: acme/prod/r-1 (away for 3h 4m), …`.
    pub(crate) fn text(&self, phase: RotationPhase) -> String {
        let mut text = format!("{}: {} of {} acknowledged", phase_name(phase), self.acknowledged, self.of);
        if !self.passed.is_empty() {
            text += &format!(", {} passed", self.passed.len());
        }
        if !self.absent.is_empty() {
            let names: Vec<_> = self.absent.iter().map(String::as_str).collect();
            text += &format!(", {} absent: {}", names.len(), safe(&shortened(&names)));
        }
        text
    }
}

#[cfg(test)]
mod tests;
