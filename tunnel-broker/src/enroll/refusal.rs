//! Why a replica gets no certificate, as it is told and counted.

use tunnel_protos::v1::{EnrollRefusal, EnrollRefused};

/// Why a replica gets no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No such token, another secret, or revoked: one answer for all.
    Unknown,
    /// The token's time is over.
    Expired,
    /// Another key has the token.
    Used,
    /// The replica or its cluster is banned.
    Banned,
    /// Certificate, signature or service account do not prove what they should.
    Unproven,
    /// Not an ask.
    Malformed,
    /// Later again.
    Busy,
}

impl Refusal {
    /// For metrics and logs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Used => "used",
            Self::Banned => "banned",
            Self::Unproven => "unproven",
            Self::Malformed => "malformed",
            Self::Busy => "busy",
        }
    }

    /// As the replica is told.
    pub(super) fn message(self) -> EnrollRefused {
        EnrollRefused { reason: self.reason().into(), text: self.text().to_owned() }
    }

    const fn reason(self) -> EnrollRefusal {
        match self {
            Self::Unknown => EnrollRefusal::Unknown,
            Self::Expired => EnrollRefusal::Expired,
            Self::Used => EnrollRefusal::Used,
            Self::Banned => EnrollRefusal::Banned,
            Self::Unproven => EnrollRefusal::Unproven,
            Self::Malformed => EnrollRefusal::Malformed,
            Self::Busy => EnrollRefusal::Busy,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Unknown => {
                "this token is good for nothing here; ask the vendor for a new enrollment bundle"
            }
            Self::Expired => "the enrollment bundle has expired; ask the vendor for a new one",
            Self::Used => "another key has redeemed this token; if that was not you, tell the vendor at once",
            Self::Banned => "this replica or its cluster is banned; ask the vendor",
            Self::Unproven => "not proven; enroll again with a new bundle from the vendor",
            Self::Malformed => "not an ask that this broker understands",
            Self::Busy => "the broker cannot issue now; try again later",
        }
    }
}
