//! Who acts, as far as it was proven.
//!
//! Invariant: outside tests, an [`Approver`] is made here only, by [`super::proof`].

use std::fmt;

use tunnel_protos::{ApproverName, Digest, UnixMillis};

use crate::audit::By;

/// Who is at the other end of the socket, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// User id.
    pub uid: u32,
}

/// A proven approver of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    name: ApproverName,
    proof: Proof,
}

/// How an approver was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// By the user id at the other end of the socket: as strong as this host.
    Uid(u32),
    /// By a signed approval.
    Signed(Signed),
}

/// The approval that proves an approver; accepted once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What is remembered, so that it is accepted once.
    pub digest: Digest,
    /// From when on it is too old to be accepted, so that its digest may be forgotten.
    pub forget_after: UnixMillis,
    /// The envelope as it came, for the record.
    pub envelope: Vec<u8>,
}

/// Who did what needs nobody special.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// An approver of the policy.
    Approver(Approver),
    /// Whoever could open the socket.
    Peer(Peer),
}

impl Approver {
    pub(super) fn new(name: ApproverName, proof: Proof) -> Self {
        Self { name, proof }
    }

    /// An approver proven by a user id, for tests of other rooms.
    #[cfg(test)]
    pub(crate) fn by_uid(name: &str, uid: u32) -> Self {
        Self::new(name.parse().unwrap(), Proof::Uid(uid))
    }

    /// An approver proven by a signature, for tests of other rooms.
    #[cfg(test)]
    pub(crate) fn by_signature(name: &str, signed: Signed) -> Self {
        Self::new(name.parse().unwrap(), Proof::Signed(signed))
    }

    /// The name in the policy.
    pub fn name(&self) -> &ApproverName {
        &self.name
    }

    /// How it was proven.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The approval that proved it, if it was not the user id.
    pub fn signed(&self) -> Option<&Signed> {
        match &self.proof {
            Proof::Signed(signed) => Some(signed),
            Proof::Uid(_) => None,
        }
    }
}

impl Who {
    /// The user id that counted, unless it was a signature.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Peer(peer) => Some(peer.uid),
            Self::Approver(Approver { proof: Proof::Uid(uid), .. }) => Some(*uid),
            Self::Approver(Approver { proof: Proof::Signed(_), .. }) => None,
        }
    }

    /// The approval that proved who it is, if there is one.
    pub fn signed(&self) -> Option<&Signed> {
        match self {
            Self::Approver(approver) => approver.signed(),
            Self::Peer(_) => None,
        }
    }

    /// For the audit log, with what was said about it.
    pub fn record(&self, note: &str) -> By {
        let approval = self.signed().map(|signed| signed.envelope.clone()).unwrap_or_default();
        By { by: self.to_string(), note: note.to_owned(), approval }
    }
}

impl From<Approver> for Who {
    fn from(approver: Approver) -> Self {
        Self::Approver(approver)
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.uid)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approver(approver) => approver.fmt(f),
            Self::Peer(peer) => peer.fmt(f),
        }
    }
}
