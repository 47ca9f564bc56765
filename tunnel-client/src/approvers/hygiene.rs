//! Escapes every text of a view that an operator, a broker or a person at another terminal wrote.
//!
//! Signed requests were checked for such characters already; this is the second fence, for whatever comes to be
//! shown here that was not.

mod plan;

use tunnel_protos::{
    approvers::{
        AnswerView, AskedMethod, BundleView, CallView, EnrollmentView, OperatorView, PauseView, RequestView,
        SessionView, SessionsView, Status, TrustView, TunnelStatus,
    },
    text::escape,
};

pub(super) fn request(mut view: RequestView) -> RequestView {
    clean(&mut view.operator);
    clean(&mut view.state_reason);
    clean(&mut view.rule);
    clean(&mut view.denied_before);
    if let Some(reason) = &mut view.reason {
        clean(&mut reason.text);
        clean(&mut reason.ticket);
    }
    view.methods.iter_mut().for_each(clean);
    view.targets.iter_mut().for_each(clean);
    view.asked.iter_mut().for_each(asked);
    view.answers.iter_mut().for_each(answer);
    view.notified.iter_mut().for_each(|notified| clean(&mut notified.who));
    view.running = view.running.map(plan::operation);
    view
}

pub(super) fn bundle(mut view: BundleView) -> BundleView {
    clean(&mut view.operator);
    view.bundle = view.bundle.map(plan::bundle);
    view
}

pub(super) fn status(mut status: Status) -> Status {
    clean(&mut status.refusing);
    status.tunnels.iter_mut().for_each(tunnel);
    status.denied_operators.iter_mut().for_each(clean);
    status.warnings.iter_mut().for_each(clean);
    if let Some(policy) = &mut status.policy {
        clean(&mut policy.error);
    }
    if let Some(audit) = &mut status.audit {
        clean(&mut audit.error);
    }
    if let Some(webhook) = &mut status.webhook {
        clean(&mut webhook.url);
        clean(&mut webhook.last_error);
    }
    status.pause = status.pause.map(pause);
    status
}

pub(super) fn pause(mut view: PauseView) -> PauseView {
    clean(&mut view.who);
    clean(&mut view.note);
    view
}

pub(super) fn enrollment(mut view: EnrollmentView) -> EnrollmentView {
    clean(&mut view.next);
    clean(&mut view.last_error);
    view
}

pub(super) fn trust(mut view: TrustView) -> TrustView {
    clean(&mut view.last_error);
    view.broker_addresses.iter_mut().for_each(clean);
    view.roots.iter_mut().for_each(|root| clean(&mut root.subject));
    view
}

pub(super) fn operator(mut view: OperatorView) -> OperatorView {
    clean(&mut view.operator);
    clean(&mut view.denied_by);
    clean(&mut view.denied_note);
    view
}

/// Bounded, too: the newest sessions, so that one answer stays small however many are open.
pub(super) fn sessions(mut view: SessionsView) -> SessionsView {
    let surplus = view.sessions.len().saturating_sub(MOST_SESSIONS);
    view.sessions.drain(..surplus);
    view.sessions.iter_mut().for_each(session);
    view
}

fn session(view: &mut SessionView) {
    clean(&mut view.operator);
    clean(&mut view.target);
    view.calls.truncate(MOST_CALLS);
    view.calls.iter_mut().for_each(|call: &mut CallView| clean(&mut call.method));
}

fn asked(method: &mut AskedMethod) {
    clean(&mut method.method);
}

fn answer(answer: &mut AnswerView) {
    clean(&mut answer.who);
    clean(&mut answer.note);
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
/// More rows than a screen has.
const MOST_SESSIONS: usize = 256;
/// As the view promises.
const MOST_CALLS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_that_names_a_file_or_a_broker_writes_nothing_else_on_the_screen() {
        let warning = "the profile says \u{1b}[2Jfine\u{202e}".to_owned();
        let shown = status(Status { warnings: vec![warning], ..Status::default() }).warnings.remove(0);
        assert!(shown.contains("the profile says") && !shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    }
}
