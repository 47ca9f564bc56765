//! The engine on stage: the reference engine or etcd, at the address it had before if it had one.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;

use crate::{
    etcd::{Etcd, Options},
    harness::{engine::EngineSettings, profile::Shipped, program::Program},
};

/// How the engine is started.
#[derive(Debug)]
pub enum Settings {
    /// The reference engine.
    Reference(EngineSettings),
    /// etcd.
    Etcd(Options),
}

/// A running engine; killed when dropped.
#[derive(Debug)]
pub enum Engine {
    /// The reference engine.
    Reference(Program),
    /// etcd.
    Etcd(Etcd),
}

impl Settings {
    /// The engine of a profile, with its data below `folder`.
    pub fn of(profile: Shipped, folder: &Path) -> Self {
        match profile {
            Shipped::Etcd | Shipped::SupervisedEtcd | Shipped::SlowEtcd => {
                Self::Etcd(Options::loopback(folder))
            }
            // Nodes that take their time, so that a rollout can be watched.
            Shipped::Hasty => {
                Self::Reference(EngineSettings { startup: STARTUP, ..EngineSettings::loopback(folder) })
            }
            Shipped::ReferenceEngine | Shipped::Access | Shipped::Mutating => {
                Self::Reference(EngineSettings::loopback(folder))
            }
        }
    }

    /// Starts it and notes its address.
    pub async fn start(&mut self) -> Result<Engine> {
        match self {
            Self::Reference(settings) => settings.spawn(&[]).await.map(Engine::Reference),
            Self::Etcd(options) => {
                let etcd = Etcd::start(options).await?;
                options.address = etcd.address();
                Ok(Engine::Etcd(etcd))
            }
        }
    }

    /// Where it listens, once started.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Reference(settings) => settings.h2c,
            Self::Etcd(options) => options.address,
        }
    }
}

impl Engine {
    /// Kills it as a power cut would.
    pub async fn kill(&mut self) -> Result<()> {
        match self {
            Self::Reference(program) => program.kill().await,
            Self::Etcd(etcd) => etcd.kill().await,
        }
    }
}

const STARTUP: Duration = Duration::from_millis(700);
