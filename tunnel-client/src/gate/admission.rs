//! Whether a certificate may open a session at this door: all names must lead to one grant. Pure.

use tunnel_certs::verify::GrantCertificate;
use tunnel_protos::{Door, TargetName, UnixMillis};

use super::{
    grants::{GrantRef, GrantsView, Life},
    limits::SESSIONS,
};

/// A certificate of ours at its own door.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    /// The grant; it may be over.
    pub(super) grant: GrantRef,
    /// What the door leads to.
    pub(super) target: TargetName,
    /// The certificate; it may be over.
    pub(super) certificate: GrantCertificate,
}

impl Admitted {
    /// Whether the audit log hears of its session at `now`: one in which no call can pass is only counted, since
    /// whoever has an old certificate could fill the log with them.
    pub(super) fn is_recorded(&self, room: Room, now: UnixMillis) -> bool {
        let live = matches!(self.grant.life(), Life::Active { until } if now < until);
        room == Room::Serve && live && now <= self.certificate.not_after
    }
}

/// Why the handshake ends with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mismatch {
    /// The ClientHello names another door than the stream's header, or none.
    #[error("the server name is not the door of the stream")]
    ServerName,
    /// No grant has this door, tombstones included.
    #[error("no such door")]
    Door,
    /// We never issued this serial.
    #[error("the certificate's serial is not known")]
    Serial,
    /// The serial was issued under another grant than the certificate names.
    #[error("the certificate is not of the grant that its serial was issued under")]
    Grant,
    /// The door belongs to another grant.
    #[error("the door is not of the certificate's grant")]
    OtherDoor,
}

/// SNI's first label = the header's door.
pub(super) fn server_name(sni: Option<&str>, door: &Door) -> Result<(), Mismatch> {
    let first = sni.and_then(|name| name.split('.').next());
    if first == Some(door.as_str()) { Ok(()) } else { Err(Mismatch::ServerName) }
}

/// The serial is known, to the certificate's grant, and that grant has the door.
pub(super) fn admit(
    certificate: GrantCertificate,
    door: &Door,
    grants: &GrantsView,
) -> Result<Admitted, Mismatch> {
    let by_serial = grants.serial(&certificate.serial).ok_or(Mismatch::Serial)?;
    if by_serial.grant().id != certificate.grant {
        return Err(Mismatch::Grant);
    }
    let grant = grants.door(door).ok_or(Mismatch::Door)?;
    if grant.grant().id != certificate.grant {
        return Err(Mismatch::OtherDoor);
    }
    let target = grant.target(door).ok_or(Mismatch::Door)?.clone();
    Ok(Admitted { grant, target, certificate })
}

/// What becomes of one more session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It is served.
    Serve,
    /// It is let in to be told that there are too many.
    Tell,
    /// It is not let in: even to be told takes a stream of the tunnel.
    Refuse,
}

/// What becomes of one more session of a grant that has so many open.
pub(super) fn room(open: usize) -> Room {
    if open < SESSIONS {
        Room::Serve
    } else if open < 2 * SESSIONS {
        Room::Tell
    } else {
        Room::Refuse
    }
}

#[cfg(test)]
mod tests;
