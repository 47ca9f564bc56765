//! Whom this client trusts of the vendor, and its access CAs.

use serde_json::{Value, json};
use tunnel_protos::{UnixMillis, approvers as api};

use super::text::{columns, fields, moment, stamp};

/// The bundle in force, and its roots.
pub(in crate::cli) fn trust(view: &api::TrustView, now: UnixMillis) -> String {
    let head = fields(vec![
        ("Vendor", view.vendor.clone()),
        ("Trust bundle", format!("sequence {}, ends {}", view.sequence, moment(view.expires_ms, now))),
        ("Brokers", view.broker_addresses.join(", ")),
        ("Last refused", view.last_error.clone()),
    ]);
    let mut rows = vec![["PURPOSE", "FINGERPRINT", "ENDS", "TRUSTED", "SUBJECT"].map(str::to_owned).to_vec()];
    rows.extend(view.roots.iter().map(root));
    format!("{head}\n{}", columns(&rows))
}

fn root(view: &api::RootView) -> Vec<String> {
    vec![
        view.purpose.clone(),
        view.fingerprint.clone(),
        stamp(view.not_after_ms),
        if view.removed { "no, removed here" } else { "yes" }.to_owned(),
        view.subject.clone(),
    ]
}

/// The same for scripts.
pub(in crate::cli) fn trust_json(view: &api::TrustView) -> Value {
    let root = |view: &api::RootView| {
        json!({
            "fingerprint": view.fingerprint,
            "purpose": view.purpose,
            "subject": view.subject,
            "expires": view.not_after_ms,
            "removed": view.removed,
        })
    };
    json!({
        "vendor": view.vendor,
        "sequence": view.sequence,
        "expires": view.expires_ms,
        "lastError": view.last_error,
        "brokers": view.broker_addresses,
        "roots": view.roots.iter().map(root).collect::<Vec<_>>(),
    })
}

/// What a rotation did.
pub(in crate::cli) fn access_ca(view: &api::AccessCaView, now: UnixMillis) -> String {
    let done = if view.rotated { "yes" } else { "no: more than a third of its life is left" };
    fields(vec![
        ("Rotated", done.to_owned()),
        ("Access CA", view.current_fingerprint.clone()),
        ("Ends", moment(view.current_not_after_ms, now)),
        ("The one before", view.previous_fingerprint.clone()),
        ("Accepted until", moment(view.previous_until_ms, now)),
    ])
}

/// The same for scripts.
pub(in crate::cli) fn access_ca_json(view: &api::AccessCaView) -> Value {
    let previous = (view.previous_until_ms != 0).then(
        || json!({ "fingerprint": view.previous_fingerprint, "acceptedUntil": view.previous_until_ms }),
    );
    json!({
        "rotated": view.rotated,
        "fingerprint": view.current_fingerprint,
        "expires": view.current_not_after_ms,
        "previous": previous,
    })
}

/// When the access CA ends.
pub(in crate::cli) fn access_ca_end(end: i64, now: UnixMillis) -> String {
    fields(vec![("Access CA ends", moment(end, now))])
}

/// The same for scripts.
pub(in crate::cli) fn access_ca_end_json(end: i64) -> Value {
    json!({ "expires": end })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn removed_roots_stand_out_and_texts_are_escaped() {
        let root = |purpose: &str, removed| api::RootView {
            fingerprint: "ab".repeat(32),
            purpose: purpose.to_owned(),
            subject: "CN=\u{1b}[31m".to_owned(),
            not_after_ms: NOW.0,
            removed,
        };
        let view = api::TrustView {
            vendor: "vendor".to_owned(),
            sequence: 7,
            roots: vec![root("mesh", false), root("operator", true)],
            ..Default::default()
        };
        let text = trust(&view, NOW);
        assert!(text.contains("sequence 7") && text.contains("no, removed here") && !text.contains('\u{1b}'));
        assert_eq!(trust_json(&view)["roots"][1]["removed"], true);
    }

    #[test]
    fn a_rotation_that_was_not_due_says_so() {
        let view = api::AccessCaView { current_fingerprint: "ab".to_owned(), ..Default::default() };
        assert!(access_ca(&view, NOW).contains("more than a third"));
        assert_eq!(access_ca_json(&view)["previous"], Value::Null);
    }
}
