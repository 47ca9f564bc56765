//! A broker with its folder: a real configuration file, run in this process or as a child.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tunnel_broker::{Broker, Config, Running};
use tunnel_runtime::config::{Sources, load};

use super::{
    binaries,
    program::Program,
    vendor::{Files, Vendor},
};

/// What a broker's configuration says.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// The vendor's trust bundle.
    pub trust_bundle: PathBuf,
    /// The vendor's public key.
    pub vendor_key: PathBuf,
    /// Mesh certificate and key.
    pub mesh: Files,
    /// The mesh CA, for a broker that enrolls replicas and certifies itself.
    pub mesh_ca: Option<Files>,
    /// Life of the mesh certificates that it issues, with its unit.
    pub leaf_life: String,
    /// The operators' API's certificate and key.
    pub api: Files,
    /// Folder of inventory entries.
    pub entries: PathBuf,
    /// Folder of database and reset key.
    pub state: PathBuf,
    /// Sockets; port 0 takes a free one.
    pub listen: Listen,
    /// Time between probes, with its unit.
    pub probe_interval: String,
    /// Further lines of YAML at the top level.
    pub more: String,
}

/// The sockets of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// UDP: tunnels.
    pub quic: SocketAddr,
    /// TCP: sessions and the operators' API.
    pub tcp: SocketAddr,
    /// Liveness, readiness, metrics.
    pub admin: SocketAddr,
}

impl Listen {
    /// Free ports of one address.
    pub fn free(ip: IpAddr) -> Self {
        let free = SocketAddr::new(ip, 0);
        Self { quic: free, tcp: free, admin: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }

    /// One port that is free for UDP and TCP now, and that the kernel gives to nobody who does not ask for it, not even
    /// while the broker is down.
    pub fn shared(ip: IpAddr) -> Result<Self> {
        for _ in 0..TRIES {
            let port = LOWEST + u16::from_ne_bytes(tunnel_certs::crypto::random()) % (GIVEN_OUT - LOWEST);
            let tcp = SocketAddr::new(ip, port);
            if std::net::TcpListener::bind(tcp).is_ok() && std::net::UdpSocket::bind(tcp).is_ok() {
                return Ok(Self { quic: tcp, tcp, ..Self::free(ip) });
            }
        }
        anyhow::bail!("no port is free for both UDP and TCP")
    }
}

/// The operator whom brokers of tests take for an administrator.
pub const ADMINISTRATOR: &str = "adam";
/// One of them in a thousand is taken.
const TRIES: usize = 16;
/// Above those of well-known services.
const LOWEST: u16 = 16_384;
/// From here on the kernel gives out ports by itself (ip(7), `ip_local_port_range`).
const GIVEN_OUT: u16 = 32_768;

impl BrokerSettings {
    /// A broker named `name` of `vendor` below `folder`, on free ports of `ip`.
    pub fn of(vendor: &Vendor, name: &str, folder: &Path, ip: IpAddr) -> Result<Self> {
        let (entries, state) = (folder.join("entries"), folder.join("state"));
        fs::create_dir_all(&entries)?;
        fs::create_dir_all(&state)?;
        Ok(Self {
            trust_bundle: vendor.trust_bundle(&[])?,
            vendor_key: vendor.key_file(),
            mesh: vendor.broker(&name.parse()?)?,
            mesh_ca: None,
            leaf_life: "24h".to_owned(),
            api: vendor.api()?,
            entries,
            state,
            listen: Listen::free(ip),
            probe_interval: "2s".to_owned(),
            more: String::new(),
        })
    }

    /// The same as one that enrolls: it holds the mesh CA, takes administrators, and listens for both carriers at one
    /// port, which the trust bundle names.
    pub fn enrolling(vendor: &Vendor, name: &str, folder: &Path, ip: IpAddr) -> Result<Self> {
        let mut settings = Self::of(vendor, name, folder, ip)?;
        settings.listen = Listen::shared(ip)?;
        // A file of its own: whoever asks the vendor for another bundle leaves this one alone.
        let signed = vendor.trust_bundle(&[settings.listen.tcp.to_string()])?;
        settings.trust_bundle = folder.join("trust-bundle.pb");
        fs::copy(signed, &settings.trust_bundle)?;
        settings.mesh_ca = Some(vendor.mesh_ca_files()?);
        settings.more = format!("administrators: [{ADMINISTRATOR}]\n");
        Ok(settings)
    }

    /// Who it is to replicas.
    fn mesh_yaml(&self) -> String {
        let pair = |Files { certificate, key }: &Files| {
            format!("{{ certificate: {}, key: {} }}", certificate.display(), key.display())
        };
        match &self.mesh_ca {
            // Everybody of a test comes from one address.
            Some(ca) => format!(
                "enroll: {{ meshCa: {}, brokerId: b1, asksPerMinute: 100000, leafLife: {} }}",
                pair(ca),
                self.leaf_life
            ),
            None => format!("mesh: {}", pair(&self.mesh)),
        }
    }

    /// As its configuration file says it.
    pub fn yaml(&self) -> String {
        let Self { api, listen, .. } = self;
        format!(
            "trust: {{ bundle: {}, vendorKeys: [{}] }}\n\
             {}\n\
             api: {{ certificate: {}, key: {} }}\n\
             listen: {{ quic: \"{}\", tcp: \"{}\", admin: \"{}\" }}\n\
             stateDir: {}\n\
             entries: {}\n\
             timeouts: {{ probeInterval: {} }}\n\
             operators: {{ \"*\": {{ clusters: [\"*\"] }} }}\n\
             {}",
            self.trust_bundle.display(),
            self.vendor_key.display(),
            self.mesh_yaml(),
            api.certificate.display(),
            api.key.display(),
            listen.quic,
            listen.tcp,
            listen.admin,
            self.state.display(),
            self.entries.display(),
            self.probe_interval,
            self.more,
        )
    }

    /// The configuration, read as the program reads its file.
    pub fn config(&self) -> Result<Config> {
        let sources = Sources { file: "broker.yaml".into(), yaml: self.yaml(), environment: BTreeMap::new() };
        Ok(load::<Config>(&sources)?.config)
    }

    /// Runs it in this process.
    pub async fn start(&self) -> Result<Running> {
        Ok(Broker::build(self.config()?).await?.start())
    }

    /// Starts it as a child process, and does not wait for it.
    pub fn start_child(&self, folder: &Path, entry: &[String]) -> Result<Program> {
        let file = folder.join("broker.yaml");
        fs::write(&file, self.yaml())?;
        let mut command = binaries::command("tunnel-broker", entry)?;
        command.arg("--config").arg(&file);
        Program::start("broker", command, &folder.join("broker.log"))
    }

    /// Runs it as a child process; gives its sockets, which a restart should keep.
    pub async fn spawn(&self, folder: &Path, entry: &[String]) -> Result<(Program, Listen)> {
        let mut program = self.start_child(folder, entry)?;
        let listen = program.says("its sockets", super::PATIENCE, listening).await?;
        Ok((program, listen))
    }
}

fn listening(output: &str) -> Option<Listen> {
    let line = output.lines().find(|line| line.contains("Listening"))?;
    let read = |key| address(line, key);
    Some(Listen { quic: read("quic")?, tcp: read("tcp")?, admin: read("admin")? })
}

/// The address in `key=address` of a log line.
pub fn address(line: &str, key: &str) -> Option<SocketAddr> {
    field(line, key)?.parse().ok()
}

/// The value of `key=value` in a log line, without quotes.
pub fn field<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let words = line.split_whitespace();
    let value = words.filter_map(|word| word.split_once('=')).find(|(name, _)| *name == key)?.1;
    Some(value.trim_matches('"'))
}

/// The metric lines of an admin port that start with `name`.
pub async fn metrics(admin: SocketAddr, name: &str) -> Result<Vec<String>> {
    let text = super::admin::get(admin, "/metrics").await.context("metrics")?;
    Ok(text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sockets_from_a_log_line() {
        let output = "x\n12:00 INFO Listening quic=127.0.0.1:1 tcp=\"127.0.0.1:2\" admin=127.0.0.1:3\n";
        let listen = listening(output).unwrap();
        assert_eq!((listen.quic.port(), listen.tcp.port(), listen.admin.port()), (1, 2, 3));
        assert!(listening("INFO Listening quic=127.0.0.1:1").is_none());
    }
}
