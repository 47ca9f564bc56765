//! The trust as tunnels see it: what brokers bring goes in, what they are told comes out.

use std::sync::Arc;

use prost::Message;
use tokio::sync::watch;
use tunnel_certs::{key::SigningKey, statement::ack::Acknowledgement};
use tunnel_protos::{
    Label,
    v1::{self, RotationPhase},
};

use super::{BundleError, Fingerprint, LeafError, Source, Trust, keeper::Command};
use crate::{
    enrollment::{Entries, Member, OfferError},
    tunnels::{News, Taken, Vendor},
};

/// One handle for all tunnels; cheap to clone.
#[derive(Debug, Clone)]
pub struct Link {
    trust: Trust,
    label: Label,
    entries: Entries,
    csr: Option<Arc<Vec<u8>>>,
}

impl Link {
    /// Speaks for the replica of this mesh key.
    pub fn new(trust: Trust, entries: Entries, label: Label, mesh_key: &SigningKey) -> Self {
        let csr = mesh_key.csr().ok().map(Arc::new);
        Self { trust, entries, label, csr }
    }
}

impl Vendor for Link {
    fn asking(&self) -> watch::Receiver<Option<u64>> {
        self.trust.shared.asking.subscribe()
    }

    fn csr(&self) -> Option<Vec<u8>> {
        self.csr.as_deref().cloned()
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.trust.shared.changes.subscribe()
    }

    fn reached(&self, phase: RotationPhase, shown: &Fingerprint) -> Option<u64> {
        let belief = self.trust.shared.belief.borrow().clone();
        let through = belief.leaf.as_ref().is_some_and(|leaf| belief.reached(phase, leaf, shown));
        through.then_some(belief.bundle.sequence)
    }

    fn acknowledgement(&self, phase: RotationPhase, sequence: u64) -> Option<v1::Envelope> {
        let leaf = self.trust.shared.belief.borrow().leaf.clone()?;
        let replica = leaf.replica.clone();
        let said = Acknowledgement { label: self.label, replica, phase, sequence };
        let signed = match self.entries.member() {
            Member::First => said.make(&*self.entries.keys().borrow().current.cluster),
            // It has a cluster key of its own, which no inventory entry names.
            Member::Further => said.make_by_mesh(&**leaf.credential.key(), leaf.credential.certificate()),
        };
        signed.ok()
    }

    fn registration(&self) -> watch::Receiver<Option<Arc<v1::Envelope>>> {
        self.entries.registration()
    }

    async fn take(&self, news: News) -> Taken {
        match news {
            News::TrustBundle(envelope) => {
                bundle(&self.trust.offer(envelope.encode_to_vec(), Source::Broker).await)
            }
            News::Leaf(certificate) => leaf(&self.trust.take_leaf(certificate).await),
            News::Rotation(phase) => self.rotate(phase),
            News::Entry(envelope) => entry(&self.entries.offer(envelope).await),
        }
    }
}

impl Link {
    /// Certificates are renewed at once, under the newest root or, when rolled back, the oldest.
    fn rotate(&self, phase: RotationPhase) -> Taken {
        let belief = self.trust.shared.belief.borrow().clone();
        let Some(root) = belief.root_of(phase) else { return Taken::Done };
        match self.trust.commands.try_send(Command::Rotate(root)) {
            Ok(()) => Taken::Done,
            Err(_) => Taken::Later,
        }
    }
}

fn bundle(taken: &Result<(), BundleError>) -> Taken {
    match taken {
        Ok(()) => Taken::Done,
        Err(BundleError::Refused(_) | BundleError::Changed(_) | BundleError::Tls(_)) => Taken::Refused,
        Err(BundleError::Audit(_) | BundleError::Store(_) | BundleError::File(_) | BundleError::Late) => {
            Taken::Later
        }
    }
}

fn entry(taken: &Result<(), OfferError>) -> Taken {
    match taken {
        Ok(()) => Taken::Done,
        Err(OfferError::Refused(_)) => Taken::Refused,
        Err(OfferError::NotStored(_) | OfferError::Late) => Taken::Later,
    }
}

/// The next ask brings another.
fn leaf(taken: &Result<(), LeafError>) -> Taken {
    match taken {
        Ok(()) | Err(LeafError::Store(_) | LeafError::Late) => Taken::Done,
        Err(
            LeafError::Credential(_)
            | LeafError::Foreign
            | LeafError::Refused(_)
            | LeafError::Unwanted
            | LeafError::Tls(_),
        ) => Taken::Refused,
    }
}
