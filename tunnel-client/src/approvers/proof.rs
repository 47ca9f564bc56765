//! Who counts as an approver: by the user id at the other end of the socket, or by a signed approval.
//!
//! Pure. A user id proves a person only where one person alone has it, so root, the daemon's own user and the user
//! that stands for unmapped ones prove nobody.

use tunnel_certs::statement::approval::{self, OpenError, Opened, Subject};
use tunnel_protos::{Label, PersonText, UnixMillis};

use super::who::{Approver, Peer, Proof, Signed, Who};
use crate::policy::Approvers;

/// Why nobody was proven to say yes.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotProven {
    /// Everyone who administers the host.
    #[error("root (uid 0) cannot approve, because that could be anyone on this host; {SIGN}")]
    Root,
    /// Whoever got into the daemon.
    #[error("the daemon's own user (uid {0}) cannot approve; {SIGN}")]
    Own(u32),
    /// Anyone who has no user id here.
    #[error("uid {0} stands for users that are unknown here, so it cannot approve; {SIGN}")]
    Overflow(u32),
    /// Somebody else.
    #[error("uid {0} is no approver: the policy's `approvers` gives it to nobody, or to several; {SIGN}")]
    Unknown(u32),
    /// The signature or what was signed.
    #[error("the signed approval is refused")]
    Signature(#[source] OpenError),
    /// Signed for another purpose.
    #[error("the signed approval is about something else; sign what was shown")]
    Other,
}

/// What the answer does not depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host {
    /// The daemon's user id.
    pub(super) own: u32,
    /// The user id that stands for unmapped ones.
    pub(super) overflow: u32,
}

/// The approver that the policy gives this user id to.
pub(super) fn by_uid(peer: Peer, host: Host, approvers: &Approvers) -> Result<Approver, NotProven> {
    let uid = peer.uid;
    if let Some(error) = nobodys(uid, Some(host.own), host.overflow) {
        return Err(error);
    }
    let name = approvers.by_uid(uid).ok_or(NotProven::Unknown(uid))?;
    Ok(Approver::new(name.clone(), Proof::Uid(uid)))
}

/// Why a user id can be no person's.
fn nobodys(uid: u32, own: Option<u32>, overflow: u32) -> Option<NotProven> {
    match uid {
        0 => Some(NotProven::Root),
        uid if own == Some(uid) => Some(NotProven::Own(uid)),
        uid if uid == overflow || uid == OVERFLOW => Some(NotProven::Overflow(uid)),
        _ => None,
    }
}

/// Whoever it is: an approver if the user id proves one, else the user id itself.
pub(super) fn anyone(peer: Peer, host: Host, approvers: &Approvers) -> Who {
    by_uid(peer, host, approvers).map_or(Who::Peer(peer), Who::Approver)
}

/// The approver who signed `envelope`, and the note in it, if it is about what `wanted` accepts.
pub(super) fn by_signature(
    envelope: Vec<u8>,
    label: &Label,
    now: UnixMillis,
    approvers: &Approvers,
    wanted: impl FnOnce(&Subject) -> bool,
) -> Result<(Approver, PersonText), NotProven> {
    let key = |name: &_| approvers.get(name).and_then(|approver| approver.key.clone());
    let opened = approval::open(&envelope, label, now, key).map_err(NotProven::Signature)?;
    if !wanted(&opened.approval.subject) {
        return Err(NotProven::Other);
    }
    let forget_after = opened.forget_after();
    let Opened { approval, digest } = opened;
    let proof = Proof::Signed(Signed { digest, forget_after, envelope });
    Ok((Approver::new(approval.approver, proof), approval.note))
}

/// The user id that stands for unmapped ones unless the kernel was told another.
pub(super) const OVERFLOW: u32 = 65_534;

/// Whether a user id can be an approver's at a daemon of the user `daemon`, as far as somebody else can know.
pub fn may_be_approver(uid: u32, daemon: Option<u32>) -> bool {
    nobodys(uid, daemon, OVERFLOW).is_none()
}
const SIGN: &str = "sign with an approver key: add `--key FILE --as NAME` (`tunnel-certs key approver` makes one, \
                    the policy's `approvers` names it)";

#[cfg(test)]
mod tests;
