//! From an authenticated connection to an entry in the registry: control stream, `Hello`, `Welcome`.

use std::time::Duration;

use tokio::time::timeout;
use tunnel_protos::{
    Label, ReplicaId,
    v1::{BrokerMessage, Hello, Limits, ReplicaMessage, Welcome, broker_message, replica_message},
};
use tunnel_transport::{
    Code, Header, Kind, OpenError,
    control::{Control, ControlError, ControlLimits, SendError},
};

use super::{
    Live, Tunnels,
    registry::{Attachment, OlderEpoch, TunnelId},
};

/// Control messages as the broker sees them.
pub(super) type BrokerControl = Control<BrokerMessage, ReplicaMessage>;

/// A replica that was welcomed.
#[derive(Debug)]
pub(super) struct Handshaken {
    /// Its entry.
    pub(super) id: TunnelId,
    /// Its control stream.
    pub(super) control: BrokerControl,
    /// Whether it takes requests.
    pub(super) takes_requests: bool,
}

/// Why a replica was not attached.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    /// It took no control stream.
    #[error("cannot open the control stream")]
    Open(#[source] OpenError),
    /// The control stream broke.
    #[error("the control stream")]
    Control(#[source] ControlError),
    /// Nothing came.
    #[error("no hello in time")]
    Deadline,
    /// Something else came first.
    #[error("the first message is not a hello")]
    NotHello,
    /// No version in common.
    #[error("no version in common, the replica speaks {min} to {max}")]
    Version {
        /// Lowest it speaks.
        min: u32,
        /// Highest it speaks.
        max: u32,
    },
    /// A later start of the replica is here.
    #[error("a duplicate")]
    Duplicate(#[source] OlderEpoch),
    /// The replica, or its whole cluster, may not come back.
    #[error("banned")]
    Banned,
    /// The answer cannot be sent.
    #[error("cannot send the welcome")]
    Welcome(#[source] SendError),
}

impl AttachError {
    /// What the replica is told.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Open(error) => error.code(),
            Self::Control(error) => error.code(),
            Self::Deadline => Code::Deadline,
            Self::NotHello => Code::Malformed,
            Self::Version { .. } => Code::Version,
            Self::Duplicate(_) => Code::Superseded,
            Self::Banned => Code::Banned,
            Self::Welcome(_) => Code::Internal,
        }
    }

    /// For metrics.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Control(_) => "control",
            Self::Deadline => "deadline",
            Self::NotHello => "not_hello",
            Self::Version { .. } => "version",
            Self::Duplicate(_) => "duplicate",
            Self::Banned => "banned",
            Self::Welcome(_) => "welcome",
        }
    }
}

/// Welcomes a replica and enters it; the replica's tunnel before is closed.
pub(super) async fn attach(
    tunnels: &Tunnels,
    live: &Live,
    label: Label,
    replica: &ReplicaId,
) -> Result<Handshaken, AttachError> {
    check_ban(tunnels, label, replica)?;
    let stream = live.tunnel.open(&Header::new(Kind::Control), DEADLINE).await.map_err(AttachError::Open)?;
    let mut control = BrokerControl::new(stream, ControlLimits::default());
    let (id, hello) = hello(&mut control).await?;
    let version = negotiate(&hello)?;
    let who = Attachment { label, replica: replica.clone(), epoch: hello.epoch };
    let attached = tunnels.registry.lock().attach(who, live.clone()).map_err(AttachError::Duplicate)?;
    attached.superseded.iter().for_each(|before| before.tunnel.close(Code::Superseded));
    control.sender().handled(id);
    // Once more: a ban from here on finds the tunnel in the registry.
    let welcomed = check_ban(tunnels, label, replica)
        .and_then(|()| control.sender().send(&welcome(tunnels, version)).map_err(AttachError::Welcome));
    if let Err(error) = welcomed {
        tunnels.registry.lock().remove(label, attached.id);
        return Err(error);
    }
    let takes_requests = hello.capabilities.iter().any(|capability| capability == REQUESTS);
    Ok(Handshaken { id: attached.id, control, takes_requests })
}

fn check_ban(tunnels: &Tunnels, label: Label, replica: &ReplicaId) -> Result<(), AttachError> {
    if tunnels.around.enroll.banned(label, replica) { Err(AttachError::Banned) } else { Ok(()) }
}

async fn hello(control: &mut BrokerControl) -> Result<(u64, Hello), AttachError> {
    let first = timeout(DEADLINE, control.next()).await.map_err(|_| AttachError::Deadline)?;
    let first = first.map_err(AttachError::Control)?;
    match first.body {
        Some(replica_message::Body::Hello(hello)) => Ok((first.id, hello)),
        _ => Err(AttachError::NotHello),
    }
}

/// The highest version that both speak.
fn negotiate(hello: &Hello) -> Result<u32, AttachError> {
    let (min, max) = (hello.min_version, hello.max_version);
    let highest = max.min(MAX_VERSION);
    if min <= highest && highest >= MIN_VERSION {
        Ok(highest)
    } else {
        Err(AttachError::Version { min, max })
    }
}

fn welcome(tunnels: &Tunnels, version: u32) -> BrokerMessage {
    let terms = &tunnels.terms;
    let welcome = Welcome {
        version,
        broker_id: tunnels.around.trust.own_now().broker_id.to_string(),
        limits: Some(Limits { streams: terms.streams, doors: terms.doors }),
        probe_interval_ms: u32::try_from(terms.probe_interval.as_millis()).unwrap_or(u32::MAX),
        ..Default::default()
    };
    BrokerMessage { id: 0, body: Some(broker_message::Body::Welcome(welcome)) }
}

/// Versions of the control protocol spoken here.
const MIN_VERSION: u32 = 1;
const MAX_VERSION: u32 = 1;

/// The capability of replicas that requests are delivered to.
const REQUESTS: &str = "requests";

/// A replica answers from memory.
const DEADLINE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn between(min_version: u32, max_version: u32) -> Option<u32> {
        negotiate(&Hello { min_version, max_version, ..Default::default() }).ok()
    }

    #[test]
    fn takes_the_highest_version_in_common() {
        assert_eq!(between(1, 1), Some(1));
        assert_eq!(between(0, 7), Some(1));
        assert_eq!(between(2, 3), None);
        assert_eq!(between(0, 0), None);
        assert_eq!(between(3, 1), None);
    }
}
