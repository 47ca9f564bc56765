//! Every metric of the broker: names, descriptions, label values. Labels are bounded; none comes from a peer's text.

use std::time::Duration;

use metrics::{
    Counter, Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tonic::Code;
use tunnel_protos::{UnixMillis, v1::RotationPhase};
use tunnel_runtime::{grpc, metrics::Buckets};

/// Buckets of the broker's histograms: round trips reach from one host to satellite links.
pub const BUCKETS: &[Buckets] = &[Buckets {
    metric: PROBE_SECONDS,
    bounds: &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
}];

/// Where a handshake takes place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// A replica's tunnel.
    Quic,
    /// A ClientHello on TCP.
    Hello,
    /// The operators' API.
    Api,
    /// Enrollment.
    Enroll,
}

/// Something bounded that was full.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Queue {
    /// TCP connections that have not said where they go.
    Unrouted,
    /// Live tunnels.
    Tunnels,
    /// Doors of one tunnel.
    Doors,
    /// Sessions in all.
    Sessions,
    /// Sessions of one source in their first phase.
    Newcomers,
    /// Streams of one tunnel.
    Streams,
    /// Mail of one tunnel.
    Mail,
    /// What one cluster may make the broker write.
    Writes,
    /// Control messages of one tunnel.
    Control,
    /// Connections to the operators' API.
    Api,
    /// The same, of one operator.
    ApiPerOperator,
    /// Watches of one operator.
    Watches,
    /// Submissions of one operator.
    Submits,
    /// Requests held.
    Mailbox,
    /// Connections that enroll.
    Enroll,
    /// Asks of one source that enrolls.
    EnrollPerSource,
    /// Asks under way that write to the database.
    Redemptions,
    /// What one replica asks of the vendor over its tunnel.
    Errands,
}

impl Queue {
    /// All of them.
    const ALL: [Self; 18] = [
        Self::Unrouted,
        Self::Tunnels,
        Self::Doors,
        Self::Sessions,
        Self::Newcomers,
        Self::Streams,
        Self::Mail,
        Self::Writes,
        Self::Control,
        Self::Api,
        Self::ApiPerOperator,
        Self::Watches,
        Self::Submits,
        Self::Mailbox,
        Self::Enroll,
        Self::EnrollPerSource,
        Self::Redemptions,
        Self::Errands,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Unrouted => "unrouted",
            Self::Tunnels => "tunnels",
            Self::Doors => "doors",
            Self::Sessions => "sessions",
            Self::Newcomers => "newcomers",
            Self::Streams => "streams",
            Self::Mail => "mail",
            Self::Writes => "writes",
            Self::Control => "control",
            Self::Api => "api",
            Self::ApiPerOperator => "api_per_operator",
            Self::Watches => "watches",
            Self::Submits => "submits",
            Self::Mailbox => "mailbox",
            Self::Enroll => "enroll",
            Self::EnrollPerSource => "enroll_per_source",
            Self::Redemptions => "redemptions",
            Self::Errands => "errands",
        }
    }
}

/// Describes every metric to the recorder, and shows at zero what alerts look for: a series that comes into being with
/// its first event never increases.
pub fn describe() {
    begin();
    describe_counter!(HANDSHAKES, "Handshakes by place and result");
    describe_gauge!(TUNNELS, "Tunnels attached");
    describe_gauge!(CARRIED, "Tunnels attached, by what carries them");
    describe_gauge!(ROUTABLE, "Tunnels that new sessions go to");
    describe_counter!(ATTACHES, "Attach attempts by result");
    describe_counter!(TUNNELS_ENDED, "Tunnels that ended, by reason");
    describe_histogram!(PROBE_SECONDS, metrics::Unit::Seconds, "Round trips of probes");
    describe_gauge!(SESSIONS, "Sessions open");
    describe_counter!(SESSIONS_ENDED, "Sessions that ended or were refused, by reason");
    describe_counter!(BYTES, metrics::Unit::Bytes, "Session bytes by direction");
    describe_counter!(REFUSED, "What was refused because a queue was full");
    describe_counter!(REQUESTS, "Submitted requests by result");
    describe_counter!(API_CALLS, "Calls of the operators' and administrators' API by gRPC code");
    describe_counter!(OUTCOMES, "Outcomes that came from replicas, by result");
    describe_gauge!(ENTRIES, "Inventory entries served");
    describe_gauge!(ENTRIES_REFUSED, "Inventory entries that could not be served when they were last read");
    describe_counter!(ENROLLMENTS, "Asks for mesh certificates, by kind and result");
    describe_counter!(RELOADS, "Replacements of what is in use: trust bundle, certificates, TLS; by result");
    describe_gauge!(
        FILE_REFUSED,
        "Whether a file of trust or certificates is there that is not used, by what it is"
    );
    describe_gauge!(TRUST_SEQUENCE, "Sequence of the trust bundle in force");
    describe_counter!(ERRANDS, "What replicas asked of the vendor over their tunnels, by kind and result");
    describe_gauge!(
        ROTATION_PHASE,
        "Phase of the mesh rotation: 1 standby, 2 init, 3 and 4 update, 5 rollback"
    );
    describe_gauge!(
        UNACKNOWLEDGED,
        "Replicas that have not acknowledged the phase of the rotation; 0 at standby, NaN while it is not known"
    );
    describe_gauge!(EXPIRATION, metrics::Unit::Seconds, "When a certificate or statement in use ends");
}

fn begin() {
    for queue in Queue::ALL {
        counter!(REFUSED, "queue" => queue.as_str()).increment(0);
    }
    for (what, result) in RELOADED.into_iter().flat_map(|what| [(what, "replaced"), (what, "failed")]) {
        counter!(RELOADS, "what" => what, "result" => result).increment(0);
    }
}

/// Counts a handshake that ended.
pub(crate) fn handshake(place: Place, result: &'static str) {
    let place = match place {
        Place::Quic => "quic",
        Place::Hello => "hello",
        Place::Api => "api",
        Place::Enroll => "enroll",
    };
    counter!(HANDSHAKES, "place" => place, "result" => result).increment(1);
}

/// The gauge of tunnels attached.
pub(crate) fn tunnels() -> Gauge {
    gauge!(TUNNELS)
}

/// The gauge of tunnels attached over one carrier.
pub(crate) fn carried(carrier: &'static str) -> Gauge {
    gauge!(CARRIED, "carrier" => carrier)
}

/// Counts a tunnel that new sessions go to, until it is dropped.
#[derive(Debug)]
pub(crate) struct Routable(());

impl Routable {
    /// One more.
    pub(crate) fn new() -> Self {
        gauge!(ROUTABLE).increment(1);
        Self(())
    }
}

impl Drop for Routable {
    fn drop(&mut self) {
        gauge!(ROUTABLE).decrement(1);
    }
}

/// Counts an attach attempt.
pub(crate) fn attach(result: &'static str) {
    counter!(ATTACHES, "result" => result).increment(1);
}

/// Counts a tunnel that ended.
pub(crate) fn tunnel_ended(reason: &'static str) {
    counter!(TUNNELS_ENDED, "reason" => reason).increment(1);
}

/// Notes the round trip of a probe.
pub(crate) fn probe(round_trip: Duration) {
    histogram!(PROBE_SECONDS).record(round_trip.as_secs_f64());
}

/// The gauge of sessions open.
pub(crate) fn sessions() -> Gauge {
    gauge!(SESSIONS)
}

/// Counts a session that ended or was refused.
pub(crate) fn session_ended(reason: &'static str) {
    counter!(SESSIONS_ENDED, "reason" => reason).increment(1);
}

/// Counters of session bytes toward the cluster and toward the operator.
pub(crate) fn session_bytes() -> [Counter; 2] {
    [counter!(BYTES, "direction" => "to_cluster"), counter!(BYTES, "direction" => "to_operator")]
}

/// Counts something that a full queue refused.
pub(crate) fn refused(queue: Queue) {
    counter!(REFUSED, "queue" => queue.as_str()).increment(1);
}

/// Counts a submitted request.
pub(crate) fn request(result: &'static str) {
    counter!(REQUESTS, "result" => result).increment(1);
}

/// Counts a call of the API.
pub(crate) fn api_call(code: Code) {
    counter!(API_CALLS, "code" => grpc::code::name(code)).increment(1);
}

/// Counts an outcome.
pub(crate) fn outcome(result: &'static str) {
    counter!(OUTCOMES, "result" => result).increment(1);
}

/// Notes the entries that are served, and when the first of them ends.
pub(crate) fn entries(served: usize, first_end: Option<UnixMillis>) {
    gauge!(ENTRIES).set(u32::try_from(served).unwrap_or(u32::MAX));
    if let Some(at) = first_end {
        expiration("inventory_entry", at);
    }
}

/// Notes how many entries could not be served when they were last read.
pub(crate) fn entries_refused(refused: usize) {
    gauge!(ENTRIES_REFUSED).set(u32::try_from(refused).unwrap_or(u32::MAX));
}

/// What is replaced while in use.
const RELOADED: [&str; 5] = ["trust_bundle", "mesh_certificate", "mesh_tls", "api_certificate", "api_tls"];

/// Counts an attempt to replace something that is in use: one of [`RELOADED`].
pub(crate) fn reload(what: &'static str, replaced: bool) {
    counter!(RELOADS, "what" => what, "result" => if replaced { "replaced" } else { "failed" }).increment(1);
}

/// Notes whether a followed file is there that is not used.
pub(crate) fn file_refused(what: &'static str, is_refused: bool) {
    gauge!(FILE_REFUSED, "what" => what).set(u8::from(is_refused));
}

/// Notes the trust bundle in force.
pub(crate) fn trust_sequence(sequence: u64) {
    #[expect(clippy::cast_precision_loss, reason = "sequences count up from 1")]
    gauge!(TRUST_SEQUENCE).set(sequence as f64);
}

/// Counts something that a replica asked of the vendor over its tunnel.
pub(crate) fn errand(kind: &'static str, result: &'static str) {
    counter!(ERRANDS, "kind" => kind, "result" => result).increment(1);
}

/// Notes where the rotation is, and how many replicas have not acknowledged its phase, if that is known.
pub(crate) fn rotation(phase: RotationPhase, unacknowledged: Option<usize>) {
    gauge!(ROTATION_PHASE).set(i32::from(phase));
    let count = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    gauge!(UNACKNOWLEDGED).set(unacknowledged.map_or(f64::NAN, count));
}

/// Counts an ask for a mesh certificate.
pub(crate) fn enrollment(kind: &'static str, result: &'static str) {
    counter!(ENROLLMENTS, "kind" => kind, "result" => result).increment(1);
}

/// Notes when something in use ends.
pub(crate) fn expiration(kind: &'static str, at: UnixMillis) {
    let seconds = i32::try_from(at.seconds()).unwrap_or(i32::MAX);
    gauge!(EXPIRATION, "kind" => kind).set(seconds);
}

const HANDSHAKES: &str = "postern_broker_handshakes_total";
const TUNNELS: &str = "postern_broker_tunnels";
const CARRIED: &str = "postern_broker_tunnels_carried";
const ROUTABLE: &str = "postern_broker_tunnels_routable";
const ATTACHES: &str = "postern_broker_attaches_total";
const TUNNELS_ENDED: &str = "postern_broker_tunnels_ended_total";
const PROBE_SECONDS: &str = "postern_broker_probe_seconds";
const SESSIONS: &str = "postern_broker_sessions";
const SESSIONS_ENDED: &str = "postern_broker_sessions_ended_total";
const BYTES: &str = "postern_broker_session_bytes_total";
const REFUSED: &str = "postern_broker_refused_total";
const REQUESTS: &str = "postern_broker_requests_total";
const API_CALLS: &str = "postern_broker_api_calls_total";
const OUTCOMES: &str = "postern_broker_outcomes_total";
const ENTRIES: &str = "postern_broker_entries";
const ENTRIES_REFUSED: &str = "postern_broker_entries_refused";
const ENROLLMENTS: &str = "postern_broker_enrollments_total";
const RELOADS: &str = "postern_broker_reloads_total";
const FILE_REFUSED: &str = "postern_broker_file_refused";
const TRUST_SEQUENCE: &str = "postern_broker_trust_bundle_sequence";
const ERRANDS: &str = "postern_broker_errands_total";
const ROTATION_PHASE: &str = "postern_broker_rotation_phase";
const UNACKNOWLEDGED: &str = "postern_broker_rotation_unacknowledged_replicas";
const EXPIRATION: &str = "postern_broker_expiration_timestamp_seconds";
