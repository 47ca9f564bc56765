//! A client with its folder: configuration, policy and profile as a customer writes them; run here or as a child.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use tunnel_certs::statement::registration;
use tunnel_protos::{ClusterName, Label};

use super::{
    PATIENCE,
    approver::Approver,
    binaries,
    command::run,
    profile::Shipped,
    program::{Program, tail},
    vendor::Vendor,
    wait::until,
};

/// What a client's configuration says.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Folder of all its files.
    pub folder: PathBuf,
    /// `customer/cluster`.
    pub cluster: ClusterName,
    /// As the vendor handed it over.
    pub label: Label,
    /// The vendor's public key.
    pub vendor_key: PathBuf,
    /// The vendor's trust bundle.
    pub trust_bundle: PathBuf,
    /// What it enrolls with; without one it has files of the vendor.
    pub bundle: Option<PathBuf>,
    /// The service account by which further replicas join.
    pub service_account: Option<ServiceAccount>,
    /// Brokers dialed.
    pub brokers: Vec<SocketAddr>,
    /// The engine's endpoints by target, as the profile writes them.
    pub endpoints: Vec<(String, String)>,
    /// Companions by name, in profiles that have some.
    pub companions: Vec<(String, String)>,
    /// The engine's profile.
    pub profile: Shipped,
    /// Further lines of YAML in the profile.
    pub profile_more: String,
    /// The policy's text.
    pub policy: String,
    /// Further lines of YAML at the top level.
    pub more: String,
}

/// The files of a Kubernetes service account.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    /// Its token.
    pub token: PathBuf,
    /// The key set of its issuer, for the registration.
    pub jwks: PathBuf,
}

impl ClientSettings {
    /// A client of `vendor`'s cluster `cluster` below `folder`.
    pub fn of(vendor: &Vendor, cluster: &str, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            cluster: cluster.parse()?,
            label: Label::from_random(tunnel_certs::crypto::random::<17>()),
            vendor_key: vendor.key_file(),
            trust_bundle: vendor.trust_bundle(&[])?,
            bundle: None,
            service_account: None,
            brokers: Vec::new(),
            endpoints: Vec::new(),
            companions: Vec::new(),
            profile: Shipped::Access,
            profile_more: String::new(),
            policy: POLICY.to_owned(),
            more: String::new(),
        })
    }

    /// The approvers' socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("run/approvers.sock")
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.folder.join("client.yaml")
    }

    /// Writes configuration, profile and policy.
    pub fn write(&self) -> Result<()> {
        self.profile.write(&self.folder, &self.endpoints, &self.companions, &self.profile_more)?;
        fs::write(self.folder.join("policy.yaml"), &self.policy)?;
        Ok(fs::write(self.file(), self.yaml())?)
    }

    fn yaml(&self) -> String {
        let brokers: Vec<String> = self.brokers.iter().map(|broker| format!("\"{broker}\"")).collect();
        format!(
            "{}\n\
             stateDir: state\n\
             brokers: [{}]\n\
             profile: profile.yaml\n\
             policy: policy.yaml\n\
             listen: {{ socket: run/approvers.sock, admin: \"127.0.0.1:0\" }}\n\
             {}",
            self.belonging(),
            brokers.join(", "),
            self.more,
        )
    }

    /// How it belongs to the vendor.
    fn belonging(&self) -> String {
        let account = self.service_account.as_ref().map(|ServiceAccount { token, jwks }| {
            format!("serviceAccountToken: {}, jwksFile: {}", token.display(), jwks.display())
        });
        let vendor = format!(
            "cluster: {{ name: {}, label: {} }}\ntrust: {{ bundle: {}, vendorKeys: [{}] }}\n",
            self.cluster,
            self.label,
            self.trust_bundle.display(),
            self.vendor_key.display(),
        );
        match (&self.bundle, account) {
            (Some(bundle), account) => {
                format!("enrollment: {{ bundle: {}, {} }}", bundle.display(), account.unwrap_or_default())
            }
            (None, Some(account)) => format!("{vendor}enrollment: {{ {account} }}"),
            (None, None) => {
                format!("{vendor}inventoryEntry: entry.pb\nmesh: {{ certificate: replica.pem }}")
            }
        }
    }

    /// Takes a registration to the vendor and brings entry and mesh certificate back.
    pub fn register(&self, vendor: &Vendor, registration: &[u8]) -> Result<()> {
        let opened = registration::open(registration)?;
        vendor.replica(&opened.mesh_key, &self.label, &"r1".parse()?, &self.folder.join("replica.pem"))?;
        vendor.entry(&self.cluster, &opened, &self.folder.join("entry.pb"))
    }

    /// Hands the entry to a broker.
    pub fn publish(&self, entries: &Path) -> Result<()> {
        let name = format!("{}.pb", self.label);
        fs::copy(self.folder.join("entry.pb"), entries.join(name)).context("publish the entry")?;
        Ok(())
    }

    /// Makes the cluster's keys by the command line and registers them.
    pub async fn export_keys(&self, vendor: &Vendor) -> Result<()> {
        self.write()?;
        let file = self.folder.join("registration.pb");
        let mut command = binaries::command("tunnel-client", &[])?;
        command.args(["keys", "export", "--config"]).arg(self.file()).arg("--out").arg(&file);
        run(command).await?;
        self.register(vendor, &fs::read(file)?)
    }

    /// Runs it as a child process.
    pub fn spawn(&self, entry: &[String]) -> Result<Program> {
        self.write()?;
        let mut command = binaries::command("tunnel-client", entry)?;
        command.args(["run", "--config"]).arg(self.file());
        Program::start("client", command, &self.folder.join("client.log"))
    }

    /// Waits until a child says at its socket that it is attached to a broker.
    pub async fn attached(&self, program: &mut Program) -> Result<()> {
        let approver = Approver::new(&self.socket());
        let attached = until("the client is attached", PATIENCE, || async {
            let status = approver.status().await?;
            ensure!(status.tunnels.iter().any(|tunnel| tunnel.state == "attached"), "no tunnel is");
            Ok::<_, anyhow::Error>(())
        });
        tokio::select! {
            attached = attached => attached.with_context(|| tail(&program.output())),
            ended = program.ended(2 * PATIENCE) => bail!("the client ended with {}:\n{}", ended?, tail(&program.output())),
        }
    }
}

/// Lets tests do what they need; `Restart` waits for a person, `Upgrade` is not granted to anyone.
const POLICY: &str = "\
version: 1
access:
  - methods: [engine.admin.v1.Admin/Upgrade]
    approval: deny
  - methods: [engine.admin.v1.Admin/Restart]
    approval: manual
  - methods: [\"engine.admin.v1.Admin/*\", \"engine.admin.v1.Faults/*\", \"engine.kv.v1.KV/*\", \"grpc.health.v1.Health/*\"]
    approval: auto
";
