//! How replicas get their certificates from this broker.

use std::time::Duration;

use tunnel_protos::BrokerId;
use tunnel_runtime::config::{FromSection, Section, Span};

use super::CredentialFiles;

/// How replicas get their certificates from this broker.
#[derive(Debug, Clone)]
pub struct EnrollConfig {
    /// The mesh CA that this broker issues with; without it none is issued until one was made by a rotation.
    pub mesh_ca: Option<CredentialFiles>,
    /// The broker's own name, in the certificate that it issues to itself.
    pub broker_id: BrokerId,
    /// Life of the certificates of replicas and of the broker itself.
    pub leaf_life: Duration,
    /// Connections at a time.
    pub connections: usize,
    /// Asks under way that write to the database.
    pub concurrent: usize,
    /// Asks of one source address in a minute.
    pub asks_per_minute: u32,
}

impl Default for EnrollConfig {
    fn default() -> Self {
        Self {
            mesh_ca: None,
            broker_id: "broker".parse().expect("a name"),
            // A stolen one is good for nothing tomorrow; renewed at two thirds, it outlives a night without the broker.
            leaf_life: Duration::from_secs(24 * 3600),
            // 100 KiB each at worst.
            connections: 256,
            // SQLite has one writer; more would only queue for it.
            concurrent: 16,
            // A few hundred replicas may share one address behind NAT and all come back after an outage.
            asks_per_minute: 240,
        }
    }
}

impl FromSection for EnrollConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let mesh_ca = section.optional_section("meshCa");
        let broker_id = section.or("brokerId", default.broker_id);
        let leaf_life = leaf_life(section, default.leaf_life);
        let connections = section.or("connections", default.connections);
        let concurrent = section.or("concurrent", default.concurrent);
        let asks = section.or("asksPerMinute", default.asks_per_minute);
        Some(Self {
            mesh_ca: mesh_ca?,
            broker_id: broker_id?,
            leaf_life: leaf_life?,
            connections: connections?,
            concurrent: concurrent?,
            asks_per_minute: asks?,
        })
    }
}

fn leaf_life(section: &mut Section<'_>, default: Duration) -> Option<Duration> {
    let life = section.or("leafLife", Span(default))?.get();
    if (MIN_LEAF_LIFE..=MAX_LEAF_LIFE).contains(&life) {
        return Some(life);
    }
    section.reject("leafLife", "outside 1m to 7d")
}

/// Enough to renew it in time.
const MIN_LEAF_LIFE: Duration = Duration::from_secs(60);
/// Longer ones would outlive a ban's memory for nothing.
const MAX_LEAF_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
