//! The client's metrics: names, meanings, and the few values that their labels may have.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use tunnel_protos::UnixMillis;
use tunnel_runtime::metrics::Buckets;

/// Buckets of the client's histograms: people answer within seconds or within the day that a request lives.
pub const BUCKETS: &[Buckets] = &[Buckets {
    metric: APPROVAL_WAIT,
    bounds: &[10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0],
}];

/// Something bounded that was full.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Queue {
    /// Requests that one tunnel brings and that are looked at.
    Deliveries,
    /// What one tunnel brings about the vendor.
    News,
    /// Outcomes that no broker has taken yet.
    Outcomes,
    /// Requests of one operator that wait for a person.
    Pending,
    /// Requests that are remembered.
    Remembered,
    /// Doors of one operator, and of all.
    Doors,
    /// Sessions of one grant.
    Sessions,
}

impl Queue {
    const ALL: [Self; 7] = [
        Self::Deliveries,
        Self::News,
        Self::Outcomes,
        Self::Pending,
        Self::Remembered,
        Self::Doors,
        Self::Sessions,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::News => "news",
            Self::Outcomes => "outcomes",
            Self::Pending => "pending",
            Self::Remembered => "remembered",
            Self::Doors => "doors",
            Self::Sessions => "sessions",
        }
    }
}

/// Describes every metric of this file; called once, when the recorder is in place.
pub fn describe() {
    crate::audit::metrics::describe();
    crate::enrollment::metrics::describe();
    crate::gate::metrics::describe();
    crate::trust::metrics::describe();
    describe_counter!(
        REQUESTS,
        "Requests that were proven, by kind and by the state they were answered with"
    );
    describe_counter!(UNPROVEN, "Deliveries that proved no operator");
    describe_counter!(REPLAYED, "Requests refused because their id was used before");
    describe_counter!(STORE_FAILURES, "Changes that could not be stored");
    describe_counter!(REFUSED, "What was refused because a queue was full");
    describe_counter!(WEBHOOK, "Messages of the webhook, by what became of each attempt");
    describe_histogram!(
        APPROVAL_WAIT,
        metrics::Unit::Seconds,
        "From the receipt of a request to a person's answer, by answer"
    );
    describe_gauge!(PENDING, "Requests that wait for a person");
    describe_gauge!(GRANTS, "Grants that are live");
    describe_gauge!(PROFILE_STALE, "1 while a newer engine profile is not taken");
    describe_gauge!(WEBHOOK_SECRET_STALE, "1 while a newer secret of the webhook is not taken");
    describe_gauge!(ENGINE_TLS_STALE, "1 while newer TLS files toward the engine are not taken");
    describe_gauge!(POLICY_STALE, "1 while a newer policy file is not taken");
    describe_gauge!(ENTRY_EXPIRY, "When the inventory entry expires");
    // What alerts look for is there before its first event, or it would never increase.
    counter!(STORE_FAILURES).increment(0);
    for queue in Queue::ALL {
        counter!(REFUSED, "queue" => queue.as_str()).increment(0);
    }
    for result in ["delivered", "failed"] {
        counter!(WEBHOOK, "result" => result).increment(0);
    }
}

pub(crate) fn answered(kind: &'static str, state: &'static str) {
    counter!(REQUESTS, "kind" => kind, "state" => state).increment(1);
}

pub(crate) fn unproven() {
    counter!(UNPROVEN).increment(1);
}

pub(crate) fn replayed() {
    counter!(REPLAYED).increment(1);
}

pub(crate) fn store_failed() {
    counter!(STORE_FAILURES).increment(1);
}

/// Counts something that a full queue refused.
pub(crate) fn refused(queue: Queue) {
    counter!(REFUSED, "queue" => queue.as_str()).increment(1);
}

pub(crate) fn open_requests(pending: usize, grants: usize) {
    gauge!(PENDING).set(count(pending));
    gauge!(GRANTS).set(count(grants));
}

/// A person said yes or no to a request that came this long ago.
pub(crate) fn decided(yes: bool, wait: Duration) {
    histogram!(APPROVAL_WAIT, "answer" => if yes { "yes" } else { "no" }).record(wait.as_secs_f64());
}

/// `result` is `delivered` or `failed`.
pub(crate) fn webhook(result: &'static str) {
    counter!(WEBHOOK, "result" => result).increment(1);
}

pub(crate) fn policy_stale(stale: bool) {
    gauge!(POLICY_STALE).set(f64::from(u8::from(stale)));
}

pub(crate) fn webhook_secret_stale(stale: bool) {
    gauge!(WEBHOOK_SECRET_STALE).set(f64::from(u8::from(stale)));
}

pub(crate) fn profile_stale(stale: bool) {
    gauge!(PROFILE_STALE).set(f64::from(u8::from(stale)));
}

pub(crate) fn engine_tls_stale(stale: bool) {
    gauge!(ENGINE_TLS_STALE).set(f64::from(u8::from(stale)));
}

/// When the inventory entry in force ends; none while there is none.
pub(crate) fn entry_expiry(end: Option<UnixMillis>) {
    gauge!(ENTRY_EXPIRY).set(end.map_or(0.0, seconds));
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double")]
pub(crate) fn seconds(time: UnixMillis) -> f64 {
    time.seconds() as f64
}

#[expect(clippy::cast_precision_loss, reason = "bounded far below what a double holds")]
fn count(number: usize) -> f64 {
    number as f64
}

const REQUESTS: &str = "postern_client_requests_total";
const UNPROVEN: &str = "postern_client_unproven_total";
const REPLAYED: &str = "postern_client_replayed_total";
const STORE_FAILURES: &str = "postern_client_store_failures_total";
const REFUSED: &str = "postern_client_refused_total";
const WEBHOOK: &str = "postern_client_webhook_attempts_total";
const APPROVAL_WAIT: &str = "postern_client_approval_wait_seconds";
const PENDING: &str = "postern_client_requests_pending";
const GRANTS: &str = "postern_client_grants_live";
const PROFILE_STALE: &str = "postern_client_profile_stale";
const WEBHOOK_SECRET_STALE: &str = "postern_client_webhook_secret_stale";
const ENGINE_TLS_STALE: &str = "postern_client_engine_tls_stale";
const POLICY_STALE: &str = "postern_client_policy_stale";
const ENTRY_EXPIRY: &str = "postern_client_inventory_entry_expiration_timestamp_seconds";
