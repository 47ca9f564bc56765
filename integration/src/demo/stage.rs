//! Where the demo plays: a folder, the running programs, and what the steps learn on their way.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tokio::process::Child;
use tunnel_certs::crypto::random;
use tunnel_protos::Label;

use super::{
    engine::{self, Engine},
    narrator::Narrator,
    play::Play,
    shell::Shell,
    steps::customer::Pending,
};
use crate::harness::{
    broker::{BrokerSettings, Listen},
    client::ClientSettings,
    program::Program,
    vendor::Files,
};

/// The stage.
pub struct Stage {
    /// Runs commands in the demo's folder.
    pub shell: Shell,
    /// Tells what happens.
    pub told: Narrator,
    /// What is played.
    pub play: &'static Play,
    /// How the engine is started.
    pub engine_settings: engine::Settings,
    /// How the broker is started.
    pub broker_settings: BrokerSettings,
    /// How the client is started.
    pub client_settings: ClientSettings,
    /// The engine, once started.
    pub engine: Option<Engine>,
    /// The broker, once started.
    pub broker: Option<Program>,
    /// The client, once started.
    pub client: Option<Program>,
    /// The words of the inventory entry, as the vendor's administrator reads them out.
    pub read_out: Option<String>,
    /// Whether both sides have confirmed: calls can work from then on.
    pub enrolled: bool,
    /// The operator's waiting command, while a request is pending.
    pub waiting: Option<Waiting>,
    /// The operator's access, once granted.
    pub access: Option<Access>,
    /// Ids of the operations that ran.
    pub operations: Vec<String>,
}

/// A `tunnelctl connect` that waits for the customer.
#[derive(Debug)]
pub struct Waiting {
    /// The command.
    pub command: Child,
    /// The request as the customer sees it.
    pub pending: Pending,
}

/// What `tunnelctl connect` printed.
#[derive(Debug, Clone)]
pub struct Access {
    /// Id of the grant.
    pub grant: String,
    /// The door's host name.
    pub host: String,
    /// The printed grpcurl line up to the address.
    pub flags: String,
    /// The address to connect to.
    pub address: String,
}

/// One of the programs on stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The engine.
    Engine,
    /// The broker.
    Broker,
    /// The client.
    Client,
}

impl Stage {
    /// An empty stage in `folder`.
    pub fn new(folder: &Path, told: Narrator, play: &'static Play) -> Result<Self> {
        for place in PLACES {
            fs::create_dir_all(folder.join(place))?;
        }
        Ok(Self {
            shell: Shell::new(folder),
            told,
            play,
            engine_settings: engine::Settings::of(play.profile, &folder.join("engine")),
            broker_settings: broker_settings(folder)?,
            client_settings: client_settings(folder, play)?,
            engine: None,
            broker: None,
            client: None,
            read_out: None,
            enrolled: false,
            waiting: None,
            access: None,
            operations: Vec::new(),
        })
    }

    /// A path below the stage's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.shell.folder().join(name)
    }

    /// Starts the engine, at the address it had before if it had one.
    pub async fn start_engine(&mut self) -> Result<()> {
        self.engine = Some(self.engine_settings.start().await?);
        Ok(())
    }

    /// Starts the broker, at the addresses it had before if it had some.
    pub async fn start_broker(&mut self) -> Result<()> {
        let (program, listen) = self.broker_settings.spawn(&self.path("broker"), &[]).await?;
        self.broker_settings.listen = listen;
        self.broker = Some(program);
        Ok(())
    }

    /// Starts the client and waits until it is attached.
    pub async fn start_client(&mut self) -> Result<()> {
        let mut program = self.client_settings.spawn(&[])?;
        self.client_settings.attached(&mut program).await?;
        self.client = Some(program);
        Ok(())
    }

    /// The roles whose programs run.
    pub fn running(&self) -> Vec<Role> {
        let running = [
            (Role::Broker, self.broker.is_some()),
            (Role::Client, self.client.is_some()),
            (Role::Engine, self.engine.is_some()),
        ];
        running.into_iter().filter(|(_, runs)| *runs).map(|(role, _)| role).collect()
    }

    /// Kills a program as a power cut would, and starts it again.
    pub async fn crash(&mut self, role: Role) -> Result<()> {
        match role {
            Role::Engine => self.engine.as_mut().context(NOT_RUNNING)?.kill().await?,
            Role::Broker => self.broker.as_mut().context(NOT_RUNNING)?.kill().await?,
            Role::Client => self.client.as_mut().context(NOT_RUNNING)?.kill().await?,
        }
        match role {
            Role::Engine => self.start_engine().await,
            Role::Broker => self.start_broker().await,
            Role::Client => self.start_client().await,
        }
    }

    /// The operator's access.
    pub fn access(&self) -> Result<&Access> {
        self.access.as_ref().context("the operator has no access yet")
    }
}

impl Access {
    /// Reads the id and the grpcurl line from what `tunnelctl connect` printed.
    pub fn read(printed: &str) -> Option<Self> {
        let line = printed.lines().find(|line| line.trim_start().starts_with("grpcurl "))?.trim();
        let words: Vec<&str> = line.split(' ').collect();
        let [flags @ .., address, _] = &words[..] else { return None };
        let host = flags.iter().skip_while(|word| **word != "-servername").nth(1)?;
        let grant = printed.split_whitespace().skip_while(|word| *word != "--resume").nth(1)?;
        Some(Self {
            grant: grant.to_owned(),
            host: (*host).to_owned(),
            flags: flags.join(" "),
            address: (*address).to_owned(),
        })
    }

    /// The grpcurl line for a call with JSON `data`.
    pub fn line(&self, more: &str, data: &str, method: &str) -> String {
        format!("{}{more} -d '{data}' {} {method}", self.flags, self.address)
    }
}

fn broker_settings(folder: &Path) -> Result<BrokerSettings> {
    let vendor = |name: &str| folder.join("vendor").join(name);
    let files = |name: &str| Files {
        certificate: vendor(&format!("{name}.pem")),
        key: vendor(&format!("{name}.key")),
    };
    let (log, administrators) = ("info,tunnel_broker=debug", ADMINISTRATOR);
    Ok(BrokerSettings {
        trust_bundle: vendor("trust-bundle.pb"),
        vendor_key: vendor("vendor.pub"),
        mesh: files("broker"),
        mesh_ca: Some(files("mesh-ca")),
        leaf_life: "24h".to_owned(),
        api: files("api"),
        entries: folder.join("broker/entries"),
        state: folder.join("broker/state"),
        listen: Listen::shared(IpAddr::V4(Ipv4Addr::LOCALHOST))?,
        probe_interval: "2s".to_owned(),
        more: format!("log: {{ level: \"{log}\" }}\nadministrators: [{administrators}]\n"),
    })
}

fn client_settings(folder: &Path, play: &Play) -> Result<ClientSettings> {
    Ok(ClientSettings {
        folder: folder.join("customer"),
        cluster: "acme/prod".parse()?,
        label: Label::from_random(random::<17>()),
        vendor_key: folder.join("vendor/vendor.pub"),
        trust_bundle: folder.join("vendor/trust-bundle.pb"),
        service_account: None,
        bundle: Some(folder.join("customer").join(BUNDLE)),
        brokers: Vec::new(),
        endpoints: Vec::new(),
        companions: Vec::new(),
        profile: play.profile,
        profile_more: String::new(),
        policy: play.policy(""),
        more: String::new(),
    })
}

/// The vendor's administrator; a name of the broker's configuration.
pub const ADMINISTRATOR: &str = "adam";
/// The file that a customer is handed.
pub const BUNDLE: &str = "acme-prod.bundle";
const PLACES: [&str; 7] =
    ["vendor", "broker/entries", "broker/state", "customer", "operator", "engine", ADMINISTRATOR];
const NOT_RUNNING: &str = "it does not run yet";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_connect_prints() {
        let printed = "acme/prod until 2026-01-01T00:30:00Z (in 30m):\n  a.B/C\n\
            certificate until x; renew: tunnelctl connect acme/prod --resume 1234-56\ntarget default:\n\
            grpcurl -cacert ca.pem -cert c.pem -key k.pem -servername d.l.tunnel.example 127.0.0.1:1 list\n";
        let access = Access::read(printed).unwrap();
        assert_eq!((access.grant.as_str(), access.host.as_str()), ("1234-56", "d.l.tunnel.example"));
        let line = access.line(" -max-time 5", "{}", "a.B/C");
        assert!(
            line.ends_with("-servername d.l.tunnel.example -max-time 5 -d '{}' 127.0.0.1:1 a.B/C"),
            "{line}"
        );
    }
}
