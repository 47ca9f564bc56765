//! Metrics of tunnels: `postern_client_tunnels…`, with codes and statuses as the only labels.

use metrics::{Gauge, counter, describe_counter, describe_gauge, gauge};
use tunnel_protos::v1::ReceivedStatus;
use tunnel_transport::{Code, Tunnel};

pub(super) fn describe() {
    describe_gauge!(DESIRED, "Tunnels that this replica wants to hold");
    describe_gauge!(CONNECTED, "Tunnels that are attached");
    describe_gauge!(CARRIED, "Tunnels that are attached, by what carries them");
    describe_counter!(DIALS, "Attempts to reach a broker, by result");
    describe_counter!(ENDED, "Tunnels that ended, by reason");
    describe_counter!(REPLACED, "Tunnels in whose place another was attached before they ended");
    describe_counter!(PROBES, "Probes answered");
    describe_counter!(DELIVERIES, "Requests delivered, by what became of them");
    describe_counter!(REFUSED, "Streams refused, by code");
}

#[expect(clippy::cast_precision_loss, reason = "a handful of tunnels")]
pub(super) fn desired(count: usize) {
    gauge!(DESIRED).set(count as f64);
}

#[expect(clippy::cast_precision_loss, reason = "a handful of tunnels")]
pub(super) fn attached(count: usize) {
    gauge!(CONNECTED).set(count as f64);
}

/// Counts an attached tunnel under its carrier, until it is dropped.
pub(super) struct Carried(Gauge);

impl Carried {
    pub(super) fn new(tunnel: &Tunnel) -> Self {
        let gauge = gauge!(CARRIED, "carrier" => tunnel.carrier());
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

pub(super) fn dialed(ok: bool) {
    counter!(DIALS, "result" => if ok { "ok" } else { "failed" }).increment(1);
}

pub(super) fn ended(reason: &'static str) {
    counter!(ENDED, "reason" => reason).increment(1);
}

pub(super) fn replaced() {
    counter!(REPLACED).increment(1);
}

pub(super) fn probed() {
    counter!(PROBES).increment(1);
}

pub(super) fn delivered(status: ReceivedStatus) {
    counter!(DELIVERIES, "status" => status.as_str_name()).increment(1);
}

pub(super) fn refused(code: Code) {
    counter!(REFUSED, "code" => code.as_str()).increment(1);
}

const DESIRED: &str = "postern_client_tunnels_desired";
const CONNECTED: &str = "postern_client_tunnels_connected";
const CARRIED: &str = "postern_client_tunnels_carried";
const DIALS: &str = "postern_client_tunnel_dials_total";
const ENDED: &str = "postern_client_tunnels_ended_total";
const REPLACED: &str = "postern_client_tunnels_replaced_total";
const PROBES: &str = "postern_client_probes_answered_total";
const DELIVERIES: &str = "postern_client_deliveries_total";
const REFUSED: &str = "postern_client_streams_refused_total";
