//! Becoming a cluster of a vendor and staying one: the first mesh certificate, the inventory entry that a person
//! confirms, and new keys in place of old ones.
//!
//! Invariant: no broker can make requests be taken. They are taken only under an inventory entry that a vendor key
//! signed, that holds this cluster's own keys, and whose words an approver typed, having heard them from the vendor's
//! administrator; this client never shows them.

mod attempt;
mod door;
mod entries;
mod facts;
mod glance;
mod guard;
mod home;
pub(crate) mod metrics;
mod progress;
mod record;
mod runner;
mod ways;

use serde::{Deserialize, Serialize};

pub use self::{
    entries::{Awaited, Entries, OfferError, Office, OpenError, Refused, Settings},
    facts::Facts,
    glance::Glance,
    home::{Home, HomeError},
    progress::{Phase, Progress},
    record::RecordError,
    runner::{Enrollment, Pace, Parts},
};

/// What a replica is to its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Member {
    /// It brings the cluster's keys and takes requests.
    First,
    /// It only keeps tunnels.
    Further,
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
