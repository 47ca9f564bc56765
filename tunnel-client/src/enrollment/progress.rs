//! How far this replica is on its way to a mesh certificate, for people.

use tunnel_certs::words::Words;
use tunnel_protos::UnixMillis;

use super::Member;

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What this replica is to its cluster.
    pub member: Member,
    /// What it does about its certificate.
    pub phase: Phase,
    /// Words of the cluster's registration; none for a further replica.
    pub words: Option<Words>,
    /// Why the last attempt failed; empty if it did not.
    pub last_error: String,
}

/// What it does about its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has one.
    Certified,
    /// It asks for one, by a token until then if it asks by one.
    Asking {
        /// End of the token.
        until: Option<UnixMillis>,
    },
    /// What it has is no longer good.
    Failed,
}
