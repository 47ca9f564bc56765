//! Bounds on what peers may use, each with its reason. A peer past a bound is refused and counted.

use std::time::Duration;

use tunnel_runtime::config::{FromSection, Section, Span};

/// Bounds on what peers may use.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Threads that carry tunnels; 0 for as many as there are cores.
    pub shards: usize,
    /// Before and while a connection is made.
    pub connections: ConnectionLimits,
    /// Sessions under way.
    pub sessions: SessionLimits,
    /// The operators' API and the mailbox.
    pub operators: OperatorLimits,
}

/// Bounds before and while a connection is made.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// TCP connections that have not said yet where they go.
    pub unrouted: usize,
    /// The same, of one source address.
    pub unrouted_per_source: usize,
    /// Time for a ClientHello, and again for a TLS handshake.
    pub hello_timeout: Duration,
    /// QUIC handshakes under way.
    pub handshakes: usize,
    /// Live tunnels.
    pub tunnels: usize,
    /// Doors that one tunnel may announce.
    pub doors_per_tunnel: u32,
    /// Outcomes and receipts that one cluster may have stored in a second.
    pub mail_per_second: u32,
}

/// Bounds of sessions.
#[derive(Debug, Clone)]
pub struct SessionLimits {
    /// Of one tunnel at a time.
    pub per_tunnel: u32,
    /// In all at a time.
    pub total: usize,
    /// Of one source address that began in the last 10 s, in which a gate has ended them unless they were proven.
    pub newcomers_per_source: usize,
    /// One without a byte in either direction ends.
    pub idle: Duration,
    /// One whose reader takes nothing ends.
    pub stalled: Duration,
}

/// Bounds of the operators' API and the mailbox.
#[derive(Debug, Clone)]
pub struct OperatorLimits {
    /// Connections.
    pub connections: usize,
    /// Connections of one operator.
    pub connections_per_operator: usize,
    /// Requests under way.
    pub requests: usize,
    /// The same, of one operator; its watches count.
    pub requests_per_operator: usize,
    /// Watches that one operator may hold.
    pub watches: usize,
    /// Requests that one operator may submit in a minute.
    pub submits_per_minute: u32,
    /// Requests held for one operator.
    pub held_per_operator: u32,
    /// Requests held in all.
    pub held: u32,
    /// Longest database call.
    pub database_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            // 80 KiB each at worst.
            unrouted: 4_096,
            // Many operators may share one address behind NAT.
            unrouted_per_source: 256,
            // A slow link needs a second; a slow loris gets no more than this.
            hello_timeout: Duration::from_secs(10),
            // Half a millisecond of work each.
            handshakes: 1_024,
            // 40 KiB each.
            tunnels: 100_000,
            // Live grants and those of the last 24 h, times targets.
            doors_per_tunnel: 4_096,
            // A write is a sync of a few milliseconds, and all clusters share the one writer.
            mail_per_second: 50,
        }
    }
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            // One operator's load test fits, a runaway does not.
            per_tunnel: 1_024,
            total: 20_000,
            // Many operators may share one address behind NAT, and all reconnect after an outage.
            newcomers_per_source: 256,
            // gRPC channels ping; one this silent was forgotten.
            idle: Duration::from_secs(3600),
            // HTTP/2 readers take bytes off the socket even when their streams are full.
            stalled: Duration::from_secs(120),
        }
    }
}

impl Default for OperatorLimits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            // Each command of `tunnelctl` opens one; a robot that opens one per job needs a few dozen.
            connections_per_operator: 64,
            requests: 2_048,
            // All of its watches, and as many calls beside them.
            requests_per_operator: 512,
            watches: 256,
            submits_per_minute: 600,
            // A robot with 40 grants renews each 96 times a day.
            held_per_operator: 4_096,
            held: 100_000,
            database_timeout: Duration::from_secs(5),
        }
    }
}

impl FromSection for Limits {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (shards, connections) = (section.or("shards", 0), section.section("connections"));
        let (sessions, operators) = (section.section("sessions"), section.section("operators"));
        Some(Self { shards: shards?, connections: connections?, sessions: sessions?, operators: operators? })
    }
}

impl FromSection for ConnectionLimits {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let unrouted = section.or("unrouted", default.unrouted);
        let per_source = section.or("unroutedPerSource", default.unrouted_per_source);
        let hello_timeout = section.or("helloTimeout", Span(default.hello_timeout));
        let handshakes = section.or("handshakes", default.handshakes);
        let tunnels = section.or("tunnels", default.tunnels);
        let doors = section.or("doorsPerTunnel", default.doors_per_tunnel);
        let mail = mail_per_second(section, default.mail_per_second);
        Some(Self {
            unrouted: unrouted?,
            unrouted_per_source: per_source?,
            hello_timeout: hello_timeout?.get(),
            handshakes: handshakes?,
            tunnels: tunnels?,
            doors_per_tunnel: doors?,
            mail_per_second: mail?,
        })
    }
}

impl FromSection for SessionLimits {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let (per_tunnel, total) =
            (section.or("perTunnel", default.per_tunnel), section.or("total", default.total));
        let newcomers = section.or("newcomersPerSource", default.newcomers_per_source);
        let idle = section.or("idle", Span(default.idle));
        let stalled = section.or("stalled", Span(default.stalled));
        Some(Self {
            per_tunnel: per_tunnel?,
            total: total?,
            newcomers_per_source: newcomers?,
            idle: idle?.get(),
            stalled: stalled?.get(),
        })
    }
}

impl FromSection for OperatorLimits {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let connections = section.or("connections", default.connections);
        let connections_per_operator = section.or("connectionsPerOperator", default.connections_per_operator);
        let requests = section.or("requests", default.requests);
        let requests_per_operator = section.or("requestsPerOperator", default.requests_per_operator);
        let watches = section.or("watches", default.watches);
        let submits = section.or("submitsPerMinute", default.submits_per_minute);
        let per_operator = section.or("heldPerOperator", default.held_per_operator);
        let held = section.or("held", default.held);
        let timeout = section.or("databaseTimeout", Span(default.database_timeout));
        Some(Self {
            connections: connections?,
            connections_per_operator: connections_per_operator?,
            requests: requests?,
            requests_per_operator: requests_per_operator?,
            watches: watches?,
            submits_per_minute: submits?,
            held_per_operator: per_operator?,
            held: held?,
            database_timeout: timeout?.get(),
        })
    }
}

/// Without any, no request would ever be answered.
fn mail_per_second(section: &mut Section<'_>, default: u32) -> Option<u32> {
    match section.or("mailPerSecond", default)? {
        0 => section.reject("mailPerSecond", "is at least 1"),
        told => Some(told),
    }
}
