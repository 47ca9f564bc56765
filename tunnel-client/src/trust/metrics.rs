//! Metrics of trust: `postern_client_trust_…`, and the ends of what is believed and shown.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use tunnel_protos::UnixMillis;

use super::Belief;
use crate::metrics::seconds;

pub(crate) fn describe() {
    describe_gauge!(SEQUENCE, "Sequence of the trust bundle in force");
    describe_gauge!(BUNDLE_EXPIRY, "When the trust bundle expires");
    describe_gauge!(LEAF_EXPIRY, "When the mesh certificate expires");
    describe_gauge!(ACCESS_CA_EXPIRY, "When the access CA expires");
    describe_counter!(REFUSED, "Trust bundles and mesh certificates that were not taken");
    describe_counter!(RENEWED, "Mesh certificates that were taken");
}

#[expect(clippy::cast_precision_loss, reason = "a sequence that people count up")]
pub(super) fn believed(belief: &Belief) {
    gauge!(SEQUENCE).set(belief.bundle.sequence as f64);
    gauge!(BUNDLE_EXPIRY).set(seconds(belief.bundle.expires));
    gauge!(LEAF_EXPIRY).set(belief.leaf.as_ref().map_or(0.0, |leaf| seconds(leaf.not_after())));
}

pub(super) fn access_ca(end: UnixMillis) {
    gauge!(ACCESS_CA_EXPIRY).set(seconds(end));
}

/// `what` is `bundle` or `leaf`.
pub(crate) fn refused(what: &'static str) {
    counter!(REFUSED, "what" => what).increment(1);
}

pub(super) fn renewed() {
    counter!(RENEWED).increment(1);
}

const SEQUENCE: &str = "postern_client_trust_bundle_sequence";
const BUNDLE_EXPIRY: &str = "postern_client_trust_bundle_expiration_timestamp_seconds";
const LEAF_EXPIRY: &str = "postern_client_mesh_certificate_expiration_timestamp_seconds";
const ACCESS_CA_EXPIRY: &str = "postern_client_access_ca_expiration_timestamp_seconds";
const REFUSED: &str = "postern_client_trust_refused_total";
const RENEWED: &str = "postern_client_mesh_certificates_taken_total";
