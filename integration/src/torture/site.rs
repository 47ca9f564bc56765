//! The programs under torture: broker and client as children that can be killed, the engine here and never harmed.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;
use tonic::transport::Endpoint;
use tunnel_protos::ClusterName;

use super::{books::Books, calls::Engine, customer::Customer};
use crate::{
    dice::Dice,
    harness::{
        PATIENCE, approver_key::ApproverKey, broker::BrokerSettings, client::ClientSettings,
        operator::Operator, program::Program, vendor::Vendor,
    },
    reference_engine::{Options, ReferenceEngine, Running},
};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The broker.
    Broker,
    /// The client.
    Client,
    /// Both at once, as when one machine holds them.
    Both,
}

/// How often each was killed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Kills {
    /// The broker.
    pub broker: u64,
    /// The client.
    pub client: u64,
}

/// All programs, and what they were started with.
pub(super) struct Site {
    folder: PathBuf,
    vendor: Vendor,
    broker_settings: BrokerSettings,
    client_settings: ClientSettings,
    customer: Customer,
    broker: Program,
    client: Program,
    kills: Kills,
    engine: Engine,
    _running: Running,
}

impl Site {
    /// Starts everything below `folder`.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let vendor = Vendor::create(&folder.join("vendor"))?;
        let running = ReferenceEngine::build(Options::loopback(folder.join("engine")))?.spawn()?;
        let h2c = running.addresses().h2c.context("the engine's address")?;
        let engine = Engine(Endpoint::from_shared(format!("http://{h2c}"))?.connect_lazy());
        let mut broker_settings = broker_settings(&vendor, folder)?;
        let (broker, listen) = broker_settings.spawn(folder, &[]).await?;
        broker_settings.listen = listen;
        let key = ApproverKey::create(folder).await?;
        let mut client_settings = ClientSettings::of(&vendor, "acme/prod", &folder.join("customer"))?;
        client_settings.endpoints = vec![("default".to_owned(), format!("http://{h2c}"))];
        client_settings.brokers = vec![listen.quic];
        client_settings.policy = key.policy(ACCESS);
        client_settings.more = CLIENT.to_owned();
        client_settings.export_keys(&vendor).await?;
        client_settings.publish(&broker_settings.entries)?;
        let client = client_settings.spawn(&[])?;
        let customer = Customer::new(&client_settings, key);
        Ok(Self {
            folder: folder.to_owned(),
            vendor,
            broker_settings,
            client_settings,
            customer,
            broker,
            client,
            kills: Kills::default(),
            engine,
            _running: running,
        })
    }

    /// An operator with an identity of its own.
    pub(super) fn operator(&self, name: &str) -> Result<Operator> {
        let name = name.parse()?;
        Operator::new(&self.vendor, &self.vendor.operator(&name)?, &name, self.broker_settings.listen.tcp)
    }

    pub(super) fn cluster(&self) -> ClusterName {
        self.client_settings.cluster.clone()
    }

    /// The customer's engineer.
    pub(super) fn customer(&self) -> &Customer {
        &self.customer
    }

    /// The engine behind the gate's back.
    pub(super) fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// The client's audit log.
    pub(super) fn books(&self) -> Books {
        Books::new(self.client_settings.file(), &self.client_settings.folder)
    }

    pub(super) fn kills(&self) -> Kills {
        self.kills
    }

    /// Ends both in order, as a machine does that is switched off.
    pub(super) async fn stop(mut self) -> Result<()> {
        for program in [&mut self.client, &mut self.broker] {
            let ended = program.stop(PATIENCE).await?;
            sound(program)?;
            ensure!(ended.success(), "{} ended with {ended}:\n{}", program.name(), program.output());
        }
        Ok(())
    }

    pub(super) async fn kill(&mut self, role: Role) -> Result<()> {
        if role != Role::Client {
            sound(&self.broker)?;
            self.broker.kill().await?;
            self.kills.broker += 1;
        }
        if role != Role::Broker {
            sound(&self.client)?;
            self.client.kill().await?;
            self.kills.client += 1;
        }
        Ok(())
    }

    /// Starts what was killed; one time in four the start is cut, too.
    pub(super) async fn restart(&mut self, role: Role, dice: &mut Dice) -> Result<()> {
        if dice.below(4) == 0 {
            self.spawn(role)?;
            sleep(Duration::from_micros(dice.below(START_MICROS))).await;
            self.kill(role).await?;
        }
        self.spawn(role)?;
        self.settle().await
    }

    fn spawn(&mut self, role: Role) -> Result<()> {
        if role != Role::Client {
            self.broker = self.broker_settings.start_child(&self.folder, &[])?;
        }
        if role != Role::Broker {
            self.client = self.client_settings.spawn(&[])?;
        }
        Ok(())
    }

    /// Waits until the client's socket answers.
    async fn settle(&mut self) -> Result<()> {
        let customer = self.customer.clone();
        let answered = customer.answers().await;
        answered.with_context(|| format!("the client is silent:\n{}", self.client.output()))
    }
}

/// A program that panicked has broken a promise, even if it went on.
fn sound(program: &Program) -> Result<()> {
    let output = program.output();
    ensure!(!output.contains("panicked"), "{} panicked:\n{output}", program.name());
    Ok(())
}

fn broker_settings(vendor: &Vendor, folder: &Path) -> Result<BrokerSettings> {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut settings = BrokerSettings::of(vendor, "b1", &folder.join("broker"), localhost)?;
    "500ms".clone_into(&mut settings.probe_interval);
    // The load never waits for a quota: that would hide what a power cut does.
    settings.more =
        "limits: { operators: { submitsPerMinute: 100000 }, connections: { mailPerSecond: 10000 } }\n\
                     log: { level: \"info,tunnel_broker=debug\" }\n"
            .to_owned();
    Ok(settings)
}

/// Comes back at once: the time between power cuts is for the load. Small segments: the log's files change, too. A
/// slow sync: whoever does not wait for it is caught between the two.
const CLIENT: &str = "\
timeouts: { longestPause: 500ms }
audit: { segmentBytes: 64KiB, syncDelay: 20ms }
log: { level: \"info,tunnel_client=debug\" }
";

/// Two methods by the policy alone, one by a person.
const ACCESS: &str = "  - methods: [engine.kv.v1.KV/Put, engine.kv.v1.KV/Get]
    approval: auto
  - methods: [engine.kv.v1.KV/Delete]
    approval: manual
";

/// About as long as a start takes here.
const START_MICROS: u64 = 300_000;
