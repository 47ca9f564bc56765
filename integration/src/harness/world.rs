//! Vendor, broker, customer, client and engine in one process: the real programs' libraries, fed with the same
//! files that the programs read, on free ports.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tracing::info_span;
use tunnel_client::{app::Client, config::Config, keys};
use tunnel_protos::{ClusterName, operators::GetClusterRequest};
use tunnel_runtime::{
    drain::{self, Drain},
    tasks::Task,
};

use super::{
    PATIENCE,
    approver::Approver,
    broker::{BrokerSettings, Listen},
    client::ClientSettings,
    operator::{Operator, Pass},
    vendor::Vendor,
    wait::until,
};
use crate::reference_engine::{Options, ReferenceEngine, Running as Engine};

/// A world before it is started; whatever a test needs otherwise is changed here.
pub struct Plan {
    folder: TempDir,
    /// The vendor.
    pub vendor: Vendor,
    /// How the broker will be configured.
    pub broker: BrokerSettings,
    /// How the client will be configured; without endpoints it gets the engine's.
    pub client: ClientSettings,
    /// How the engine will be built.
    pub engine: Options,
}

/// A started world; dropping it ends everything at once.
pub struct World {
    /// The vendor.
    pub vendor: Vendor,
    /// How the broker is configured, its sockets included.
    pub broker_settings: BrokerSettings,
    /// How the client is configured.
    pub client_settings: ClientSettings,
    broker: Option<tunnel_broker::Running>,
    client: Option<RunningClient>,
    engine: Option<Engine>,
    /// The last: whoever writes into it is dropped before.
    folder: TempDir,
}

struct RunningClient {
    task: Task<()>,
    drain: Drain,
}

impl Plan {
    /// One vendor `initech` with one broker, one customer `acme/prod`, one reference engine.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = |name: &str| folder.path().join(name);
        let vendor = Vendor::create(&place("vendor"))?;
        let mut broker =
            BrokerSettings::of(&vendor, "b1", &place("broker"), IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        // Fast enough that a test sees a lost tunnel, slow enough that a busy machine is not one.
        "1s".clone_into(&mut broker.probe_interval);
        let client = ClientSettings::of(&vendor, "acme/prod", &place("customer"))?;
        let engine = Options::loopback(place("engine"));
        Ok(Self { vendor, broker, client, engine, folder })
    }

    /// Starts engine and broker and registers the cluster; the client stays offline.
    pub async fn start_offline(self) -> Result<World> {
        let Self { folder, vendor, broker, mut client, engine } = self;
        let engine = ReferenceEngine::build(engine)?.spawn()?;
        if client.endpoints.is_empty() {
            client.endpoints = vec![("default".to_owned(), default_endpoint(&engine)?)];
        }
        client.write()?;
        let registration = client.folder.join("registration.pb");
        keys::export(&client.folder.join("state"), &client.label, &registration)?;
        client.register(&vendor, &fs::read(registration)?)?;
        client.publish(&broker.entries)?;
        let mut world = World {
            folder,
            vendor,
            broker_settings: broker,
            client_settings: client,
            broker: None,
            client: None,
            engine: Some(engine),
        };
        world.start_broker().await?;
        world.offline().await?;
        Ok(world)
    }

    /// Starts everything and waits until the cluster is reachable.
    pub async fn start(self) -> Result<World> {
        let mut world = self.start_offline().await?;
        world.start_client().await?;
        world.online().await?;
        Ok(world)
    }
}

impl World {
    /// A world as it is by default.
    pub async fn start() -> Result<Self> {
        Plan::new()?.start().await
    }

    /// The cluster's name.
    pub fn cluster(&self) -> ClusterName {
        self.client_settings.cluster.clone()
    }

    /// A folder for a test's own files.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The broker's sockets.
    pub fn listen(&self) -> Listen {
        self.broker_settings.listen
    }

    /// The broker's TCP address.
    pub fn address(&self) -> SocketAddr {
        self.listen().tcp
    }

    /// An operator with a fresh identity of that name.
    pub fn operator(&self, name: &str) -> Result<Operator> {
        let name = name.parse()?;
        Operator::new(&self.vendor, &self.vendor.operator(&name)?, &name, self.address())
    }

    /// The whole way of an operator named `ada` to a certificate for `methods`.
    pub async fn pass(&self, methods: &[&str]) -> Result<Pass> {
        self.operator("ada")?.pass(&self.cluster(), methods).await
    }

    /// The customer's side, through the client's socket.
    pub fn approver(&self) -> Approver {
        Approver::new(&self.client_settings.socket())
    }

    /// Starts the broker at the sockets it had before.
    pub async fn start_broker(&mut self) -> Result<()> {
        let broker = self.broker_settings.start().await?;
        let bound = broker.addresses();
        let listen = &mut self.broker_settings.listen;
        (listen.quic, listen.tcp) = (bound.quic, bound.tcp);
        self.client_settings.brokers = vec![bound.quic];
        self.broker = Some(broker);
        Ok(())
    }

    /// Ends the broker without farewell.
    pub fn drop_broker(&mut self) {
        self.broker = None;
    }

    /// Drains the broker as its program does at SIGTERM.
    pub async fn drain_broker(&mut self) -> Result<bool> {
        Ok(self.broker.take().context("no broker runs")?.drain(PATIENCE).await)
    }

    /// Starts the client.
    pub async fn start_client(&mut self) -> Result<()> {
        let settings = &self.client_settings;
        settings.write()?;
        let config = Config::read(&settings.file(), BTreeMap::new())?.config;
        let client = Client::build(config).await?;
        let (drain, watch) = drain::channel();
        self.client =
            Some(RunningClient { task: Task::spawn(info_span!("client"), client.serve(watch)), drain });
        Ok(())
    }

    /// Drains the client as its program does at SIGTERM.
    pub async fn stop_client(&mut self) -> Result<()> {
        self.drain_client(PATIENCE).await
    }

    /// The same with another grace.
    pub async fn drain_client(&mut self, grace: Duration) -> Result<()> {
        let RunningClient { task, drain } = self.client.take().context("no client runs")?;
        let mut ended = Ok(());
        drain.run(grace, async { ended = task.await }).await;
        Ok(ended?)
    }

    /// Stops the engine and waits until its sockets are free.
    pub async fn stop_engine(&mut self) -> Result<()> {
        self.engine.take().context("no engine runs")?.stop().await;
        Ok(())
    }

    /// The engine.
    pub fn engine(&self) -> Result<&Engine> {
        self.engine.as_ref().context("no engine runs")
    }

    /// Waits until the broker routes to the cluster.
    pub async fn online(&self) -> Result<()> {
        self.tunnels("the cluster is online", |tunnels| tunnels > 0).await
    }

    /// Waits until the broker has lost the cluster.
    pub async fn offline(&self) -> Result<()> {
        self.tunnels("the cluster is offline", |tunnels| tunnels == 0).await
    }

    async fn tunnels(&self, what: &str, wanted: impl Fn(u32) -> bool + Copy) -> Result<()> {
        let operator = self.operator("watcher")?;
        until(what, PATIENCE, || {
            let mut api = operator.api();
            let request = GetClusterRequest { cluster: self.cluster().to_string() };
            async move {
                let tunnels = api.get_cluster(request).await?.into_inner().tunnels;
                ensure!(wanted(tunnels), "{tunnels} tunnels");
                Ok::<_, anyhow::Error>(())
            }
        })
        .await
    }
}

fn default_endpoint(engine: &Engine) -> Result<String> {
    Ok(format!("http://{}", engine.addresses().h2c.context("the engine listens on h2c")?))
}
