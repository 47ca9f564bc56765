//! Everything that a bench needs running: engine, broker and client as processes of their own, and an operator
//! with a grant. Dropping it ends them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path as FilePath,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{
    figures::{C64, C512},
    load::Target,
    report::{AUDIT, AUDIT_SLOW, DIRECT, TUNNEL},
    run::Path,
};
use crate::{
    harness::{
        broker::BrokerSettings,
        client::ClientSettings,
        engine::EngineSettings,
        profile::Shipped,
        program::Program,
        tunnelctl::Tunnelctl,
        vendor::{Files, Vendor},
    },
    netns::{Line, Place},
};

/// The running programs and the ways through them.
pub struct Site {
    paths: Vec<Path>,
    _programs: Vec<Program>,
    _folder: TempDir,
}

/// Where programs run: all on loopback, or each in its own namespace.
#[derive(Clone, Copy)]
pub enum Link<'l> {
    /// 127.0.0.1.
    Loopback,
    /// Three namespaces in a line.
    Wire(&'l Line),
}

impl Link<'_> {
    fn entry(self, place: Place) -> Vec<String> {
        match self {
            Self::Loopback => Vec::new(),
            Self::Wire(line) => line.entry(place),
        }
    }

    fn address(self, place: Place) -> IpAddr {
        match self {
            Self::Loopback => Ipv4Addr::LOCALHOST.into(),
            Self::Wire(_) => place.address(),
        }
    }
}

impl Site {
    /// Starts everything, and walks the operators' ways to their certificates.
    pub async fn start(link: Link<'_>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let vendor = Vendor::create(&folder.path().join("vendor"))?;
        let (engine, engine_at, direct) = start_engine(&vendor, link, folder.path()).await?;
        let place = folder.path().join("broker");
        let settings = BrokerSettings::of(&vendor, "b1", &place, link.address(Place::Broker))?;
        let mut clients = Vec::new();
        for customer in CUSTOMERS {
            let client = customer.settings(&vendor, folder.path(), engine_at)?;
            client.export_keys(&vendor).await?;
            client.publish(&settings.entries)?;
            clients.push((customer, client));
        }
        let (broker, listen) = settings.spawn(&place, &link.entry(Place::Broker)).await?;
        let (mut programs, entry) = (vec![engine, broker], link.entry(Place::Operator));
        let mut paths = vec![Path { name: DIRECT, target: direct, entry: entry.clone(), only: None }];
        for (customer, mut client) in clients {
            client.brokers = vec![listen.quic];
            let mut program = client.spawn(&link.entry(Place::Customer))?;
            client.attached(&mut program).await?;
            programs.push(program);
            let operator = Tunnelctl::new(&client.folder.join("operator"), entry.clone())?;
            let target = tunnel(&vendor, customer, &operator, listen.tcp).await?;
            paths.push(Path { name: customer.path, target, entry: entry.clone(), only: customer.only });
        }
        Ok(Self { paths, _programs: programs, _folder: folder })
    }

    /// The ways from load generator to engine.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }
}

/// One cluster of the site: a client of its own before the same engine.
struct Customer {
    /// Key of the path through it.
    path: &'static str,
    cluster: &'static str,
    profile: Shipped,
    more: &'static str,
    only: Option<&'static [&'static str]>,
}

const CUSTOMERS: &[Customer] = &[
    Customer { path: TUNNEL, cluster: "acme/prod", profile: Shipped::Access, more: "", only: None },
    audited(AUDIT, "acme/audited", ""),
    audited(AUDIT_SLOW, "acme/slow", "audit: { syncDelay: 5ms }\n"),
];

const fn audited(path: &'static str, cluster: &'static str, more: &'static str) -> Customer {
    Customer { path, cluster, profile: Shipped::Mutating, more, only: Some(&[C64, C512]) }
}

impl Customer {
    fn settings(&self, vendor: &Vendor, folder: &FilePath, engine: SocketAddr) -> Result<ClientSettings> {
        let mut client = ClientSettings::of(vendor, self.cluster, &folder.join(self.path))?;
        client.endpoints = vec![("default".to_owned(), format!("http://{engine}"))];
        client.profile = self.profile;
        self.more.clone_into(&mut client.more);
        Ok(client)
    }
}

/// The engine, its plain address for the client, and how the load generator reaches it directly.
async fn start_engine(
    vendor: &Vendor,
    link: Link<'_>,
    folder: &FilePath,
) -> Result<(Program, SocketAddr, Target)> {
    let (server, caller) = (vendor.web("engine.example")?, vendor.web("caller.example")?);
    let ca = vendor.api_ca_file();
    let mut settings = EngineSettings::loopback(&folder.join("engine"));
    let tls = SocketAddr::new(link.address(Place::Customer), 0);
    settings.tls = Some((tls, server, ca.clone()));
    let program = settings.spawn(&link.entry(Place::Customer)).await?;
    let (addr, ..) = settings.tls.context("the engine has a TLS listener")?;
    let Files { certificate: cert, key } = caller;
    Ok((program, settings.h2c, Target { addr, name: "engine.example".to_owned(), ca, cert, key }))
}

/// The operator's way through the product.
async fn tunnel(
    vendor: &Vendor,
    customer: &Customer,
    operator: &Tunnelctl,
    broker: SocketAddr,
) -> Result<Target> {
    let identity = vendor.operator(&"ada".parse()?)?;
    operator.login(vendor, &identity, broker).await?;
    let methods =
        ["engine.admin.v1.Admin/Echo", "engine.admin.v1.Admin/Snapshot", "engine.admin.v1.Admin/Import"];
    let session = operator.connect(customer.cluster, &methods).await?;
    Ok(Target { addr: broker, name: session.host, ca: session.ca, cert: session.cert, key: session.key })
}
