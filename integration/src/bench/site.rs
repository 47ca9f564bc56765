//! Everything that a bench needs running: engine, broker and client as processes of their own, and an operator
//! with a grant. Dropping it ends them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path as FilePath,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{
    load::Target,
    report::{DIRECT, TUNNEL},
    run::Path,
};
use crate::{
    harness::{
        broker::BrokerSettings,
        client::ClientSettings,
        engine::EngineSettings,
        program::Program,
        tunnelctl::Tunnelctl,
        vendor::{Files, Vendor},
    },
    netns::{Line, Place},
};

/// The running programs and the ways through them.
pub struct Site {
    paths: Vec<Path>,
    _programs: [Program; 3],
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
    /// Starts everything, and walks the operator's way to a certificate.
    pub async fn start(link: Link<'_>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let vendor = Vendor::create(&folder.path().join("vendor"))?;
        let (engine, engine_at, direct) = start_engine(&vendor, link, folder.path()).await?;
        let mut client = ClientSettings::of(&vendor, "acme/prod", &folder.path().join("customer"))?;
        client.endpoints = vec![("default".to_owned(), format!("http://{engine_at}"))];
        client.export_keys(&vendor).await?;
        let place = folder.path().join("broker");
        let settings = BrokerSettings::of(&vendor, "b1", &place, link.address(Place::Broker))?;
        client.publish(&settings.entries)?;
        let (broker, listen) = settings.spawn(&place, &link.entry(Place::Broker)).await?;
        client.brokers = vec![listen.quic];
        let mut customer = client.spawn(&link.entry(Place::Customer))?;
        client.attached(&mut customer).await?;
        let tunnel = tunnel(&vendor, link, folder.path(), listen.tcp).await?;
        let entry = link.entry(Place::Operator);
        let paths = vec![
            Path { name: DIRECT, target: direct, entry: entry.clone() },
            Path { name: TUNNEL, target: tunnel, entry },
        ];
        Ok(Self { paths, _programs: [engine, broker, customer], _folder: folder })
    }

    /// The ways from load generator to engine.
    pub fn paths(&self) -> &[Path] {
        &self.paths
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
async fn tunnel(vendor: &Vendor, link: Link<'_>, folder: &FilePath, broker: SocketAddr) -> Result<Target> {
    let operator = Tunnelctl::new(&folder.join("operator"), link.entry(Place::Operator))?;
    let identity = vendor.operator(&"ada".parse()?)?;
    operator.login(vendor, &identity, broker).await?;
    let session = operator
        .connect(
            "acme/prod",
            &["engine.admin.v1.Admin/Echo", "engine.admin.v1.Admin/Snapshot", "engine.admin.v1.Admin/Import"],
        )
        .await?;
    Ok(Target { addr: broker, name: session.host, ca: session.ca, cert: session.cert, key: session.key })
}
