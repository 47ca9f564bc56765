//! The client at a glance: what needs somebody first, then all the rest.

use std::fmt::Write;

use tunnel_protos::{UnixMillis, approvers as api};

use super::{
    enrollment::state,
    health,
    text::{fields, moment, safe, stamp},
};

/// The whole status; what needs somebody stands out if `painted`.
pub(in crate::cli) fn status(
    status: &api::Status,
    enrollment: &api::EnrollmentView,
    now: UnixMillis,
    painted: bool,
) -> String {
    let needs = needs(status, enrollment, now);
    let mut text = String::new();
    for line in &needs {
        let line = safe(line);
        let _infallible =
            if painted { writeln!(text, "\x1b[1;33m! {line}\x1b[0m") } else { writeln!(text, "! {line}") };
    }
    if !needs.is_empty() {
        text.push('\n');
    }
    text + &fields(rows(status, enrollment, now))
}

/// What is not as it should be, each with what to do.
fn needs(status: &api::Status, enrollment: &api::EnrollmentView, now: UnixMillis) -> Vec<String> {
    let mut needs: Vec<String> = status.pause.iter().flat_map(|pause| paused(pause, now)).collect();
    let pending = status.requests_pending;
    let waiting = format!("{pending} request(s) wait for an answer (`tunnel-client requests`)");
    needs.extend((pending > 0).then_some(waiting));
    let refusing = format!("Requests are not taken: {}", status.refusing);
    needs.extend((!status.refusing.is_empty()).then_some(refusing));
    // While requests are refused, the reason says what is next.
    let next = (status.refusing.is_empty() && !enrollment.next.is_empty()).then(|| enrollment.next.clone());
    needs.extend(next);
    needs.extend(status.policy.iter().filter(|policy| !policy.error.is_empty()).map(stale));
    needs.extend(status.audit.iter().flat_map(unrecorded));
    needs.extend(status.webhook.iter().filter(|webhook| !webhook.last_error.is_empty()).map(untold));
    needs.extend(status.warnings.iter().map(|warning| sentence(warning)));
    let attached = status.tunnels.iter().any(|tunnel| tunnel.state == "attached");
    let detached = "No tunnel is attached: operators cannot reach this cluster";
    needs.extend((!attached).then(|| detached.to_owned()));
    needs
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn paused(pause: &api::PauseView, now: UnixMillis) -> Vec<String> {
    let since = moment(pause.since_ms, now);
    let unstored = "The pause is not stored: a restart would forget it; free the disk";
    let mut needs = vec![format!(
        "Paused by {} {since}: {} (`tunnel-client resume {}`)",
        pause.who, pause.note, pause.id
    )];
    needs.extend((!pause.stored).then(|| unstored.to_owned()));
    needs
}

fn stale(policy: &api::PolicyStatus) -> String {
    format!("The policy file is not in force: {} (mend the file; it is read again by itself)", policy.error)
}

fn unrecorded(audit: &api::AuditStatus) -> Vec<String> {
    let api::AuditStatus { error, indeterminate, .. } = audit;
    let unwritable =
        format!("The audit log cannot be written, so mutating calls are refused: {error} (free the disk)");
    let unknown = format!(
        "{indeterminate} call(s), step(s) or move(s) ended indeterminate at the last start (`tunnel-client audit show`)"
    );
    let needs = [(!error.is_empty()).then_some(unwritable), (*indeterminate > 0).then_some(unknown)];
    needs.into_iter().flatten().collect()
}

fn untold(webhook: &api::WebhookStatus) -> String {
    format!("The webhook fails: {} ({} waiting)", webhook.last_error, webhook.waiting)
}

fn rows(
    status: &api::Status,
    enrollment: &api::EnrollmentView,
    now: UnixMillis,
) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("Cluster", format!("{} (label {})", status.cluster, status.label)),
        ("Replica", status.replica.clone()),
        ("Build", status.build.clone()),
        ("Enrollment", state(enrollment)),
        ("Words", enrollment.registration_words.clone()),
        ("Policy", status.policy.clone().unwrap_or_default().digest.chars().take(16).collect()),
        (
            "Audit",
            status.audit.as_ref().map(|audit| format!("record {}", audit.last_record)).unwrap_or_default(),
        ),
        ("Webhook", status.webhook.as_ref().map(webhook).unwrap_or_default()),
        ("Denied operators", status.denied_operators.join(", ")),
        ("Requests pending", status.requests_pending.to_string()),
        ("Grants live", status.grants_live.to_string()),
        ("Sessions open", status.sessions_open.to_string()),
        ("Trust bundle ends", moment(status.trust_bundle_expires_ms, now)),
        ("Entry ends", moment(status.entry_expires_ms, now)),
        ("Mesh certificate ends", moment(status.mesh_certificate_expires_ms, now)),
        ("Access CA ends", moment(status.access_ca_expires_ms, now)),
    ];
    rows.extend(status.tunnels.iter().map(|tunnel| ("Tunnel", self::tunnel(tunnel, now))));
    let engine =
        |target: &tunnel_protos::v1::TargetHealth| format!("{} {}", target.target, health(target.health));
    rows.extend(status.targets.iter().map(|target| ("Engine", engine(target))));
    rows
}

fn webhook(webhook: &api::WebhookStatus) -> String {
    let last = match webhook.last_success_ms {
        0 => "nothing delivered yet".to_owned(),
        ms => format!("last delivered {}", stamp(ms)),
    };
    format!("{}, {last}, {} waiting", webhook.url, webhook.waiting)
}

fn tunnel(tunnel: &api::TunnelStatus, now: UnixMillis) -> String {
    let mut text = format!("{} {} {}", tunnel.address, tunnel.state, moment(tunnel.since_ms, now));
    if !tunnel.broker_id.is_empty() {
        let _infallible = write!(text, ", broker {}", tunnel.broker_id);
    }
    if !tunnel.last_error.is_empty() {
        let _infallible = write!(text, ", last error: {}", tunnel.last_error);
    }
    text
}
