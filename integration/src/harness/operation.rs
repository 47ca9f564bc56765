//! Operations as an operator asks for them, with what the operator expects to find, and the API of each reached through
//! the tunnel by its own certificate.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tonic::transport::Channel;
use tunnel_certs::statement::{
    outcome::Outcome,
    request::{
        Kind, Operation as Asked,
        operation::{
            CollectDebug, ComponentUpgrade, Configure, Restart, RunTask, Scale, SettingChange, Size, Start,
            Upgrade, What,
        },
    },
};
use tunnel_protos::{
    ClusterName,
    operations::v1::{
        Event, GetRequest, Operation, StepState, StepStatus, WatchRequest,
        operations_client::OperationsClient,
    },
    v1::RequestState,
};

use super::{
    PATIENCE,
    operator::{Operator, Pass, Submitted},
};

/// Another number of replicas.
pub fn scale(component: &str, expected: u32, wanted: u32) -> Result<What> {
    Ok(What::Scale(Scale { component: component.parse()?, size: Size::Replicas { expected, wanted } }))
}

/// Another release of one component, node by node.
pub fn upgrade(component: &str, expected: &str, release: Vec<u8>) -> Result<What> {
    let one =
        ComponentUpgrade { component: component.parse()?, expected_release: expected.parse()?, release };
    Ok(What::Upgrade(Upgrade { components: vec![one], at_once: 1, soak: None, allow_downgrade: false }))
}

/// The same, also to a release that is not above the highest seen.
pub fn downgrade(component: &str, expected: &str, release: Vec<u8>) -> Result<What> {
    match upgrade(component, expected, release)? {
        What::Upgrade(upgrade) => Ok(What::Upgrade(Upgrade { allow_downgrade: true, ..upgrade })),
        other => bail!("{other:?}"),
    }
}

/// A restart of these nodes, or of all.
pub fn restart(component: &str, nodes: &[&str], expected_replicas: u32) -> Result<What> {
    let nodes: Result<Vec<_>, _> = nodes.iter().map(|node| node.parse()).collect();
    Ok(What::Restart(Restart { component: component.parse()?, nodes: nodes?, expected_replicas }))
}

/// Another value of one setting.
pub fn configure(component: &str, name: &str, expected: &str, value: &str) -> Result<What> {
    let setting = SettingChange { name: name.parse()?, expected: expected.parse()?, value: value.parse()? };
    Ok(What::Configure(Configure { component: component.parse()?, settings: vec![setting] }))
}

/// A task of the profile, at all of its targets.
pub fn task(name: &str, arguments: &[(&str, &str)]) -> Result<What> {
    let argument = |(name, value): &(&str, &str)| Ok::<_, anyhow::Error>((name.parse()?, value.parse()?));
    let arguments = arguments.iter().map(argument).collect::<Result<_>>()?;
    Ok(What::RunTask(RunTask { task: name.parse()?, targets: Vec::new(), arguments }))
}

/// A debug bundle of these collectors, at all of their targets.
pub fn debug(collectors: &[&str]) -> Result<What> {
    let collectors: Result<Vec<_>, _> = collectors.iter().map(|name| name.parse()).collect();
    Ok(What::CollectDebug(CollectDebug { collectors: collectors?, targets: Vec::new() }))
}

/// To begin as soon as it is approved.
pub fn on_approval(what: What) -> Asked {
    Asked { what, start: Start::OnApproval, dry_run: false, wanted: Duration::ZERO }
}

/// To begin when its operator says so.
pub fn on_call(what: What) -> Asked {
    Asked { start: Start::OnCall, ..on_approval(what) }
}

/// Only planned.
pub fn dry_run(what: What) -> Asked {
    Asked { dry_run: true, ..on_approval(what) }
}

/// One operation's own API.
#[derive(Clone)]
pub struct Session {
    /// The certificate and the door.
    pub pass: Pass,
    client: OperationsClient<Channel>,
}

impl Operator {
    /// Asks for an operation.
    pub async fn operation(&self, cluster: &ClusterName, asked: Asked) -> Result<Submitted> {
        self.ask(cluster, Kind::Operation(Box::new(asked))).await
    }

    /// Waits until a request is in one of these states.
    pub async fn reaches(&self, submitted: &Submitted, states: &[RequestState]) -> Result<Outcome> {
        let reached = self.outcome(submitted, |outcome| states.contains(&outcome.state)).await;
        reached.with_context(|| format!("none of {states:?}"))
    }

    /// The API of an operation that was approved.
    pub async fn session(&self, cluster: &ClusterName, submitted: &Submitted) -> Result<Session> {
        let pass = self.certificate(cluster, submitted.request.id.into()).await?;
        let client = OperationsClient::new(pass.channel()?);
        Ok(Session { pass, client })
    }
}

impl Session {
    /// The API as generated.
    pub fn api(&self) -> OperationsClient<Channel> {
        self.client.clone()
    }

    /// Where it stands.
    pub async fn get(&self) -> Result<Operation, tonic::Status> {
        Ok(self.api().get(GetRequest {}).await?.into_inner())
    }

    /// All events until it is over.
    pub async fn watch(&self) -> Result<Vec<Event>> {
        let watch = async {
            let mut events = self.api().watch(WatchRequest { after: 0 }).await?.into_inner();
            let mut seen = Vec::new();
            while let Some(event) = events.message().await? {
                seen.push(event);
            }
            Ok(seen)
        };
        tokio::time::timeout(PATIENCE, watch).await.context("the operation does not end")?
    }
}

/// The states of its steps, in their order.
pub fn steps(operation: &Operation) -> Vec<StepState> {
    operation.steps.iter().map(StepStatus::state).collect()
}

/// The states that nothing follows.
pub const OVER: [RequestState; 6] = [
    RequestState::Succeeded,
    RequestState::Failed,
    RequestState::RolledBack,
    RequestState::Cancelled,
    RequestState::Indeterminate,
    RequestState::Denied,
];
