//! The client's configuration: one YAML file, as `tunnel_runtime::config` reads it.
//!
//! Invariant: a [`Config`] that exists has passed every check that needs no other file.

mod audit;
mod enrollment;
mod webhook;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use tunnel_protos::{ClusterName, Label};
use tunnel_runtime::{
    config::{self, ConfigErrors, FromSection, Loaded, Section, Sources, Span},
    logs::LogConfig,
};

pub use self::audit::AuditConfig;
pub use self::enrollment::EnrollmentConfig;
pub use self::webhook::{
    Event as WebhookEvent, Format as WebhookFormat, Header as WebhookHeader, WebhookConfig,
};

/// Everything a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which cluster this is; without it, the enrollment says so.
    pub cluster: Option<Cluster>,
    /// Keys and store; created with mode 0700.
    pub state_dir: PathBuf,
    /// How this replica enrolls; without it, by files.
    pub enrollment: Option<EnrollmentConfig>,
    /// Where trust comes from; without it, from the enrollment.
    pub trust: Option<TrustConfig>,
    /// What came back for our registration: the signed inventory entry; naming it here confirms it.
    pub inventory_entry: Option<PathBuf>,
    /// The PEM certificate issued for the registration's CSR; without it, the one in the state folder.
    pub mesh_certificate: Option<PathBuf>,
    /// Brokers to dial; empty for those of the trust bundle.
    pub brokers: Vec<BrokerAddress>,
    /// The engine profile.
    pub profile: PathBuf,
    /// The policy; without one everything is denied.
    pub policy: Option<PathBuf>,
    /// Where to listen.
    pub listen: ListenConfig,
    /// Whom to tell of requests; nobody without it.
    pub webhook: Option<WebhookConfig>,
    /// How to log.
    pub log: LogConfig,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How much there may be.
    pub limits: Limits,
    /// How the audit log is kept.
    pub audit: AuditConfig,
}

/// Which cluster this is, as the administrator said when handing over the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `customer/cluster`.
    pub name: ClusterName,
    /// The label.
    pub label: Label,
}

/// Where trust comes from: files of the vendor's administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustConfig {
    /// The signed trust bundle.
    pub bundle: PathBuf,
    /// PEM public keys, at least one: the only thing that is pinned.
    pub vendor_keys: Vec<PathBuf>,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenConfig {
    /// The approvers' socket.
    pub socket: PathBuf,
    /// Where `/live`, `/ready` and `/metrics` answer.
    pub admin: SocketAddr,
}

/// `host:port` of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrokerAddress(String);

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From resolving a broker's name to both identities being known.
    pub dial: Duration,
    /// Longest delay between attempts to dial a broker.
    pub longest_pause: Duration,
    /// For sessions to finish when the client is told to stop.
    pub drain: Duration,
}

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Threads that carry tunnels and sessions; 0 for as many as there are cores.
    pub shards: usize,
    /// Sessions open at the same time, over all grants.
    pub sessions: u32,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] io::Error),
    /// Everything that is wrong with it.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
}

impl Config {
    /// Reads a file and what the environment overrides of it.
    pub fn read(file: &Path, environment: BTreeMap<String, String>) -> Result<Loaded<Self>, ReadError> {
        let yaml = std::fs::read_to_string(file).map_err(|error| ReadError::File(file.to_owned(), error))?;
        let sources = Sources { file: file.display().to_string(), yaml, environment };
        Ok(config::load::<Self>(&sources)?)
    }
}

impl FromSection for Config {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let vendor = VendorFiles::of(section);
        let enrollment = section.optional_section("enrollment");
        let (state_dir, profile) = (section.path("stateDir"), section.path("profile"));
        let (policy, brokers) = (section.optional_path("policy"), section.values("brokers"));
        let (listen, webhook) = (section.section("listen"), section.optional_section("webhook"));
        let (log, timeouts) = (section.section("log"), section.section("timeouts"));
        let (limits, audit) = (section.section("limits"), section.section("audit"));
        let VendorFiles { cluster, trust, mesh, inventory_entry } = vendor?;
        Some(Self {
            cluster,
            state_dir: state_dir?,
            enrollment: enrollment?,
            trust,
            inventory_entry,
            mesh_certificate: mesh.map(|mesh| mesh.0),
            brokers: brokers?,
            profile: profile?,
            policy: policy?,
            listen: listen?,
            webhook: webhook?,
            log: log?,
            timeouts: timeouts?,
            limits: limits?,
            audit: audit?,
        })
    }
}

/// What the vendor's administrator handed over by files: all of it, unless an enrollment brings the rest.
struct VendorFiles {
    cluster: Option<Cluster>,
    trust: Option<TrustConfig>,
    mesh: Option<MeshCertificate>,
    inventory_entry: Option<PathBuf>,
}

impl VendorFiles {
    fn of(section: &mut Section<'_>) -> Option<Self> {
        let any = ["trust", "mesh", "inventoryEntry"].iter().any(|key| section.has(key));
        if any && !section.has("enrollment") { Self::all(section) } else { Self::some(section) }
    }

    fn all(section: &mut Section<'_>) -> Option<Self> {
        let (cluster, trust) = (section.section("cluster"), section.section("trust"));
        let (mesh, entry) = (section.section("mesh"), section.path("inventoryEntry"));
        let (cluster, trust, mesh, entry) = (cluster?, trust?, mesh?, entry?);
        Some(Self {
            cluster: Some(cluster),
            trust: Some(trust),
            mesh: Some(mesh),
            inventory_entry: Some(entry),
        })
    }

    fn some(section: &mut Section<'_>) -> Option<Self> {
        let (cluster, trust) = (section.optional_section("cluster"), section.optional_section("trust"));
        let (mesh, inventory_entry) =
            (section.optional_section("mesh"), section.optional_path("inventoryEntry"));
        Some(Self { cluster: cluster?, trust: trust?, mesh: mesh?, inventory_entry: inventory_entry? })
    }
}

impl FromSection for Cluster {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (name, label) = (section.required("name"), section.required("label"));
        Some(Self { name: name?, label: label? })
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

/// The section `mesh`: its key lies among our own, in the state folder.
struct MeshCertificate(PathBuf);

impl FromSection for MeshCertificate {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        section.path("certificate").map(Self)
    }
}

impl FromSection for ListenConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (socket, admin) = (section.path_or("socket", DEFAULT_SOCKET), section.or("admin", DEFAULT_ADMIN));
        Some(Self { socket: socket?, admin: admin? })
    }
}

impl FromSection for Timeouts {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (dial, drain) = (span(section, "dial", DIAL), span(section, "drain", DRAIN));
        let longest_pause = span(section, "longestPause", LONGEST_PAUSE);
        Some(Self { dial: dial?, longest_pause: longest_pause?, drain: drain? })
    }
}

impl Timeouts {
    /// For the whole process to end: sessions, then the store.
    pub fn process(&self) -> Duration {
        self.drain.saturating_add(AFTER_DRAIN)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { dial: DIAL, longest_pause: LONGEST_PAUSE, drain: DRAIN }
    }
}

impl FromSection for Limits {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (shards, sessions) = (section.or("shards", 0), section.or("sessions", DEFAULT_SESSIONS));
        Some(Self { shards: shards?, sessions: sessions? })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { shards: 0, sessions: DEFAULT_SESSIONS }
    }
}

impl BrokerAddress {
    /// `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BrokerAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0));
        if valid { Ok(Self(text.to_owned())) } else { Err("not a broker's address: host:port") }
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn span(section: &mut Section<'_>, key: &'static str, default: Duration) -> Option<Duration> {
    section.or(key, Span(default)).map(Span::get)
}

/// Where the command line looks, too.
const DEFAULT_SOCKET: &str = "/run/postern/approvers.sock";
/// Loopback: who wants it scraped from elsewhere says so.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
/// Three round trips at a second each, with losses.
const DIAL: Duration = Duration::from_secs(10);
/// Long enough to spare a broker in trouble, short enough for a person who waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Kubernetes kills after 30 s.
const DRAIN: Duration = Duration::from_secs(25);
/// For the store to close; together with the default drain still below what Kubernetes gives.
const AFTER_DRAIN: Duration = Duration::from_secs(3);
/// A robot gone wild must not take the engine's last file handle.
const DEFAULT_SESSIONS: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("example.yaml")
    }

    #[test]
    fn the_example_names_every_key_with_its_default() {
        let loaded = Config::read(&example(), BTreeMap::new()).unwrap();
        let config = loaded.config;
        assert_eq!((config.timeouts, config.limits), (Timeouts::default(), Limits::default()));
        assert_eq!(config.audit, AuditConfig::default());
        assert_eq!(config.listen.admin, DEFAULT_ADMIN);
        assert_eq!(config.listen.socket, Path::new(DEFAULT_SOCKET));
        assert!(config.brokers.is_empty());
    }

    #[test]
    fn relative_paths_are_relative_to_the_file() {
        let config = Config::read(&example(), BTreeMap::new()).unwrap().config;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(config.state_dir, folder.join("state"));
        assert_eq!(config.trust.unwrap().vendor_keys, [folder.join("vendor.pub")]);
        assert_eq!(config.policy, Some(folder.join("policy.yaml")));
    }

    #[test]
    fn an_enrollment_brings_what_the_vendors_files_would() {
        let read = |yaml: &str| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("c.yaml");
            std::fs::write(&file, format!("stateDir: s\nprofile: p\n{yaml}")).unwrap();
            Config::read(&file, BTreeMap::new())
                .map(|loaded| loaded.config)
                .map_err(|error| error.to_string())
        };
        let config = read("enrollment: {bundle: b}\n").unwrap();
        assert!(config.enrollment.unwrap().bundle.unwrap().ends_with("b"));
        assert_eq!((config.cluster, config.trust, config.inventory_entry), (None, None, None));
        // Whether the state folder brings it is seen at the start.
        assert!(read("").unwrap().enrollment.is_none());
        assert!(read("enrollment: {jwksFile: j}\n").unwrap_err().contains("serviceAccountToken"));
        let half = read("inventoryEntry: e\n").unwrap_err();
        for part in ["cluster.name", "trust.bundle", "mesh.certificate"] {
            assert!(half.contains(part), "{part} is missing in: {half}");
        }
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let environment = [("POSTERN_CLUSTER_LABEL".to_owned(), "otheraaaaa".to_owned())].into();
        let config = Config::read(&example(), environment).unwrap().config;
        assert_eq!(config.cluster.unwrap().label.as_str(), "otheraaaaa");
    }

    #[test]
    fn all_errors_come_at_once_with_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        std::fs::write(
            &file,
            "cluster: {name: acme, label: x}\nbrokers: [nowhere]\nsurprise: 1\ntrust: {bundle: b}\n",
        )
        .unwrap();
        let error = Config::read(&file, BTreeMap::new()).unwrap_err().to_string();
        for part in ["cluster.name", "cluster.label", "brokers", "surprise", "stateDir", "vendorKeys", ":3:1"]
        {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
    }
}
