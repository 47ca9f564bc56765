//! The broker's configuration. Invariant: a [`Config`] holds only values that have passed their checks.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use tunnel_protos::OperatorName;
use tunnel_runtime::{
    config::{FromSection, Section, Span},
    logs::LogConfig,
};

pub use self::{
    enroll::EnrollConfig,
    limits::{ConnectionLimits, Limits, OperatorLimits, SessionLimits},
    operators::{ClusterPattern, EVERYBODY, OperatorConfig},
};

mod enroll;
mod limits;
mod operators;

/// Everything that the broker is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The vendor's trust bundle.
    pub trust: TrustConfig,
    /// The broker's identity in the mesh; none where it issues its own, with the mesh CA of `enroll`.
    pub mesh: Option<CredentialFiles>,
    /// How replicas get their certificates here.
    pub enroll: EnrollConfig,
    /// The operators' API presents these; a public CA's chain is welcome.
    pub api: CredentialFiles,
    /// Where to listen.
    pub listen: ListenConfig,
    /// Folder of the database and the QUIC reset key.
    pub state_dir: PathBuf,
    /// Folder of inventory entries (`*.pb`); none are served without it.
    pub entries: Option<PathBuf>,
    /// Which clusters an operator sees, by name; `*` stands for every operator not named. Nobody else sees any.
    pub operators: BTreeMap<String, OperatorConfig>,
    /// Operators who may enroll, ban, publish and rotate at this broker. It gives no power over clusters.
    pub administrators: Vec<OperatorName>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Bounds on what peers may use.
    pub limits: Limits,
    /// How to log.
    pub log: LogConfig,
}

/// Where trust comes from.
#[derive(Debug, Clone)]
pub struct TrustConfig {
    /// Envelope of the trust bundle: vendor, suffix, mesh and operator roots.
    pub bundle: PathBuf,
    /// Vendor keys (PEM) that may have signed it.
    pub vendor_keys: Vec<PathBuf>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct CredentialFiles {
    /// PEM, leaf first.
    pub certificate: PathBuf,
    /// PEM, PKCS#8, mode 0600.
    pub key: PathBuf,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Time between two probes of a tunnel at rest.
    pub probe_interval: Duration,
    /// For sessions to finish when the broker is told to stop.
    pub drain: Duration,
}

/// Socket addresses; port 0 takes a free one.
#[derive(Debug, Clone, Copy)]
pub struct ListenConfig {
    /// UDP: replicas' tunnels.
    pub quic: SocketAddr,
    /// TCP: operators' sessions and their API.
    pub tcp: SocketAddr,
    /// `/live`, `/ready`, `/metrics`; keep it off the internet.
    pub admin: SocketAddr,
}

impl FromSection for Config {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (trust, api) = (section.section("trust"), section.section("api"));
        let enroll: Option<EnrollConfig> = section.section("enroll");
        let mesh = mesh(section, enroll.as_ref());
        let (listen, state_dir) = (section.section("listen"), section.path("stateDir"));
        let entries = section.optional_path("entries");
        let (operators, administrators) = (operators::read(section), section.values("administrators"));
        let (timeouts, limits, log) =
            (section.section("timeouts"), section.section("limits"), section.section("log"));
        Some(Self {
            trust: trust?,
            mesh: mesh?,
            enroll: enroll?,
            api: api?,
            listen: listen?,
            state_dir: state_dir?,
            entries: entries?,
            operators: operators?,
            administrators: administrators?,
            timeouts: timeouts?,
            limits: limits?,
            log: log?,
        })
    }
}

/// A broker with a mesh CA issues its own certificate.
fn mesh(section: &mut Section<'_>, enroll: Option<&EnrollConfig>) -> Option<Option<CredentialFiles>> {
    let issues = enroll.is_some_and(|enroll| enroll.mesh_ca.is_some());
    match section.optional_section("mesh")? {
        None if !issues => section.reject(
            "mesh",
            "name `mesh.certificate` and `mesh.key`, or a mesh CA in `enroll.meshCa` so that the broker issues its own",
        ),
        mesh => Some(mesh),
    }
}

impl FromSection for TrustConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (bundle, vendor_keys) = (section.path("bundle"), section.paths("vendorKeys"));
        let vendor_keys = vendor_keys?;
        if vendor_keys.is_empty() {
            return section.reject("vendorKeys", "name at least one file with a vendor key");
        }
        Some(Self { bundle: bundle?, vendor_keys })
    }
}

impl FromSection for CredentialFiles {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (certificate, key) = (section.path("certificate"), section.path("key"));
        Some(Self { certificate: certificate?, key: key? })
    }
}

impl FromSection for ListenConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let quic = section.or("quic", SocketAddr::from(([0, 0, 0, 0], 443)));
        let tcp = section.or("tcp", SocketAddr::from(([0, 0, 0, 0], 443)));
        let admin = section.or("admin", SocketAddr::from(([127, 0, 0, 1], 9443)));
        Some(Self { quic: quic?, tcp: tcp?, admin: admin? })
    }
}

impl FromSection for Timeouts {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (probe_interval, drain) = (probe_interval(section), section.or("drain", DRAIN));
        Some(Self { probe_interval: probe_interval?, drain: drain?.get() })
    }
}

fn probe_interval(section: &mut Section<'_>) -> Option<Duration> {
    let interval = section.or("probeInterval", PROBE_INTERVAL)?.get();
    if (MIN_PROBE_INTERVAL..=MAX_PROBE_INTERVAL).contains(&interval) {
        return Some(interval);
    }
    section.reject("probeInterval", "outside 100ms to 5m")
}

/// Two missed probes end a tunnel, so a dead one is noticed within 45 s; a probe costs ≈ 50 µs.
const PROBE_INTERVAL: Span = Span::seconds(15);
const MIN_PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// NAT bindings of UDP rarely live longer.
const MAX_PROBE_INTERVAL: Duration = Duration::from_secs(300);
/// Shorter than the usual grace period of an orchestrator (30 s).
const DRAIN: Span = Span::seconds(25);

#[cfg(test)]
mod tests;
