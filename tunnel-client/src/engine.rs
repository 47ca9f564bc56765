//! The engine beside us: its profile, targets, connections, credentials, health, and calls without generated code.
//!
//! What the engine says is data of a stranger: bounded in size and time, and never believed about itself.

mod aside;
mod call;
pub mod check;
mod connect;
mod credentials;
mod endpoint;
mod health;
mod look;
pub mod profile;
mod reload;
mod tls;

use std::{collections::BTreeMap, sync::Arc};

use http::HeaderValue;
use tunnel_protos::{TargetName, v1::Health};

pub(crate) use self::connect::CONNECT_DEADLINE;
pub use self::{
    call::{CallError, Messages},
    connect::{ConnectError, Connection},
    credentials::CredentialError,
    endpoint::{Authority, Endpoint, EndpointError},
    look::LookError,
    profile::{Profile, ProfileError, ProfileErrors},
    reload::{EngineState, ProfileFile, Targets, watch_health},
    tls::TlsError,
};

/// The engine behind this client as one profile tells; cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    profile: Profile,
    tls: Option<tls::Toward>,
    targets: BTreeMap<TargetName, health::Target>,
    aside: aside::Aside,
}

impl Engine {
    /// Nothing is connected or read yet: the engine may come later than we do.
    pub fn new(profile: Profile) -> Self {
        let targets = profile.endpoints().keys().map(|name| (name.clone(), health::Target::default()));
        let targets = targets.collect();
        let tls = profile.credentials().tls.clone().map(tls::Toward::new);
        Self(Arc::new(Shared { profile, tls, targets, aside: aside::Aside::default() }))
    }

    /// What is known of it.
    pub fn profile(&self) -> &Profile {
        &self.0.profile
    }

    /// Its targets.
    pub fn targets(&self) -> impl Iterator<Item = &TargetName> {
        self.0.targets.keys()
    }

    /// Health as last seen, at once; unspecified before the first answer.
    pub fn health(&self, target: &TargetName) -> Health {
        self.0.targets.get(target).map_or(Health::Unspecified, health::Target::last)
    }

    /// Asks every target for its health, again and again at a bounded rate; never ends by itself.
    pub async fn watch_health(&self) {
        health::watch(self).await;
    }

    /// Connects to a target.
    pub async fn connect(&self, target: &TargetName) -> Result<Connection, ConnectError> {
        let profile = self.profile();
        let endpoint = profile.endpoints().get(target).ok_or(ConnectError::UnknownTarget)?;
        Connection::open(endpoint, self.0.tls.as_ref()).await
    }

    /// Connects to a target or to a companion: for calls of our own, never for an operator's.
    async fn connect_beside(&self, name: &TargetName) -> Result<Connection, ConnectError> {
        let endpoint = self.address(name).ok_or(ConnectError::UnknownTarget)?;
        Connection::open(endpoint, self.0.tls.as_ref()).await
    }

    /// Where a target or companion listens.
    fn address(&self, name: &TargetName) -> Option<&Endpoint> {
        let profile = self.profile();
        profile.endpoints().get(name).or_else(|| profile.companions().get(name))
    }

    /// Asks a target for its health now.
    pub async fn probe(&self, target: &TargetName) -> Health {
        health::probe(self, target).await.0
    }

    /// The engine's own `authorization`, if its profile names one.
    pub fn authorization(&self) -> Result<Option<HeaderValue>, CredentialError> {
        let named = self.profile().credentials().authorization.as_ref();
        named.map(profile::Authorization::read).transpose()
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
