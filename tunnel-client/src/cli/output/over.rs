//! What became of a request that nobody can answer any more, and what anybody may do now.

use tunnel_protos::{approvers as api, v1::RequestState};
use tunnel_runtime::layout::quoted;

use super::text::safe;
use crate::policy::{APPROVALS, is_rule};

/// Some sentences and commands; none for a request that still lives, or that says it all by itself.
pub(super) fn advice(view: &api::RequestView) -> Option<String> {
    let refused_by_person =
        || view.answers.iter().any(|answer| answer.answer() == tunnel_protos::v1::Answer::No);
    let text = match view.state() {
        RequestState::Denied if refused_by_person() => DENIED.to_owned(),
        RequestState::Denied if is_rule(&view.rule) => format!("{BY_RULE}\n{}", explain(view)),
        RequestState::Expired if view.granted.is_some() => UNUSED.to_owned(),
        RequestState::Expired => UNANSWERED.to_owned(),
        RequestState::Withdrawn => WITHDRAWN.to_owned(),
        RequestState::Revoked => format!("{REVOKED}\n{}", look(view)),
        RequestState::Ended => format!("{ENDED}\n{}", look(view)),
        _ => return None,
    };
    Some(text)
}

/// What was asked for, by the policy's rules.
fn explain(view: &api::RequestView) -> String {
    let kind = view.rule.strip_prefix(APPROVALS);
    let asked = kind.or(view.methods.first().map(String::as_str)).unwrap_or("METHOD");
    format!("tunnel-client policy explain {}", quoted(&safe(asked)))
}

/// Offline, so without the socket.
fn look(view: &api::RequestView) -> String {
    format!("tunnel-client audit report --grant {}", quoted(&safe(&view.id)))
}

const DENIED: &str = "A no is final. If the operator is to have it after all, it asks again: then a person here is asked,\n\
                      whatever the policy says, and is shown that it was denied before.";
const BY_RULE: &str = "The policy refused it, so no person was asked. The same ask gets the same answer until the policy is changed:";
const UNANSWERED: &str = "Nobody answered in time. The operator asks again if it is still needed.";
const UNUSED: &str = "It was approved and not used in time. The operator asks again if it is still needed.";
const WITHDRAWN: &str = "Its operator took it back. There is nothing to do.";
const REVOKED: &str = "Its sessions were cut, and it opens nothing any more. The operator may ask again. What was done under it:";
const ENDED: &str = "Its time is over, and it opens nothing any more. What was done under it:";
