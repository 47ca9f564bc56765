//! The client's metrics: names, meanings, and the few values that their labels may have.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use tunnel_protos::UnixMillis;

/// Describes every metric of this file; called once, when the recorder is in place.
pub fn describe() {
    crate::audit::metrics::describe();
    describe_counter!(
        REQUESTS,
        "Requests that were proven, by kind and by the state they were answered with"
    );
    describe_counter!(UNPROVEN, "Deliveries that proved no operator");
    describe_counter!(REPLAYED, "Requests refused because their id was used before");
    describe_counter!(STORE_FAILURES, "Changes that could not be stored");
    describe_counter!(WEBHOOK, "Messages of the webhook, by what became of each attempt");
    describe_gauge!(PENDING, "Requests that wait for a person");
    describe_gauge!(GRANTS, "Grants that are live");
    describe_gauge!(POLICY_STALE, "1 while a newer policy file is not taken");
    describe_gauge!(TRUST_BUNDLE_EXPIRY, "When the trust bundle expires");
    describe_gauge!(ENTRY_EXPIRY, "When the inventory entry expires");
    describe_gauge!(MESH_EXPIRY, "When the mesh certificate expires");
    describe_gauge!(ACCESS_CA_EXPIRY, "When the access CA expires");
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

pub(crate) fn open_requests(pending: usize, grants: usize) {
    gauge!(PENDING).set(count(pending));
    gauge!(GRANTS).set(count(grants));
}

/// `result` is `delivered` or `failed`.
pub(crate) fn webhook(result: &'static str) {
    counter!(WEBHOOK, "result" => result).increment(1);
}

pub(crate) fn policy_stale(stale: bool) {
    gauge!(POLICY_STALE).set(f64::from(u8::from(stale)));
}

/// When what this client trusts and shows comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiries {
    /// The trust bundle.
    pub trust_bundle: UnixMillis,
    /// The inventory entry; none while there is no usable one.
    pub entry: Option<UnixMillis>,
    /// The mesh certificate.
    pub mesh_certificate: UnixMillis,
    /// The access CA.
    pub access_ca: UnixMillis,
}

impl Expiries {
    pub(crate) fn record(&self) {
        gauge!(TRUST_BUNDLE_EXPIRY).set(seconds(self.trust_bundle));
        gauge!(ENTRY_EXPIRY).set(self.entry.map_or(0.0, seconds));
        gauge!(MESH_EXPIRY).set(seconds(self.mesh_certificate));
        gauge!(ACCESS_CA_EXPIRY).set(seconds(self.access_ca));
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double")]
fn seconds(time: UnixMillis) -> f64 {
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
const WEBHOOK: &str = "postern_client_webhook_attempts_total";
const PENDING: &str = "postern_client_requests_pending";
const GRANTS: &str = "postern_client_grants_live";
const POLICY_STALE: &str = "postern_client_policy_stale";
const TRUST_BUNDLE_EXPIRY: &str = "postern_client_trust_bundle_expiration_timestamp_seconds";
const ENTRY_EXPIRY: &str = "postern_client_inventory_entry_expiration_timestamp_seconds";
const MESH_EXPIRY: &str = "postern_client_mesh_certificate_expiration_timestamp_seconds";
const ACCESS_CA_EXPIRY: &str = "postern_client_access_ca_expiration_timestamp_seconds";
