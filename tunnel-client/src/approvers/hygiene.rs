//! Escapes every text of a view that an operator or a broker wrote.
//!
//! Signed requests were checked for such characters already; this is the second fence, for whatever comes to be
//! shown here that was not.

use tunnel_protos::{
    approvers::{RequestView, Status, TunnelStatus},
    text::escape,
};

pub(super) fn request(mut view: RequestView) -> RequestView {
    clean(&mut view.operator);
    clean(&mut view.state_reason);
    if let Some(reason) = &mut view.reason {
        clean(&mut reason.text);
        clean(&mut reason.ticket);
    }
    view.methods.iter_mut().for_each(clean);
    view.targets.iter_mut().for_each(clean);
    view
}

pub(super) fn status(mut status: Status) -> Status {
    clean(&mut status.refusing);
    status.tunnels.iter_mut().for_each(tunnel);
    if let Some(policy) = &mut status.policy {
        clean(&mut policy.error);
    }
    status
}

fn tunnel(tunnel: &mut TunnelStatus) {
    clean(&mut tunnel.address);
    clean(&mut tunnel.broker_id);
    clean(&mut tunnel.last_error);
}

fn clean(text: &mut String) {
    *text = escape(text, SHOWN_CHARACTERS);
}

/// Twice the longest text a person may write; longer ones are errors, whose beginning tells enough.
const SHOWN_CHARACTERS: usize = 1024;
