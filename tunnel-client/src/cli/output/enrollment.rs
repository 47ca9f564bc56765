//! Where the enrollment is, for people.

use tunnel_protos::{UnixMillis, approvers as api, text::spoken};

use super::text::{fields, moment};

/// The whole view; what to do next stands last, where it is read.
pub(in crate::cli) fn enrollment(view: &api::EnrollmentView, now: UnixMillis) -> String {
    fields(vec![
        ("Enrollment", state(view)),
        ("Words", view.registration_words.clone()),
        ("Token ends", moment(view.token_expires_ms, now)),
        ("Entry ends", moment(view.entry_expires_ms, now)),
        ("Last error", view.last_error.clone()),
        ("Next", view.next.clone()),
    ])
}

/// `entry waits`.
pub(in crate::cli) fn state(view: &api::EnrollmentView) -> String {
    let name = spoken(view.state().as_str_name(), "ENROLLMENT_STATE_");
    name.replace('-', " ")
}
