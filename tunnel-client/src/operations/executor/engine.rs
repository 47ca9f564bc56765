//! The engine as executor: the profile's own calls and nothing else, each within its time.
//!
//! What it answers is bounded, and no sentence about it holds more than a short, escaped piece of its words.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::watch, time::timeout};
use tonic::Code;
use tunnel_protos::{
    MethodName, TargetName,
    dynamic::{DynamicMessage, Method, Undecoded},
    text::escape,
    v1::Health,
};
use tunnel_runtime::chain;

use super::{CallFailed, Executor, Work};
use crate::{
    engine::{
        CallError, Engine, Messages,
        profile::{Component, EvaluationError, Scope, SightedNode, Sighting, Stage, Task},
    },
    operations::{
        Archive, Collecting, Progress,
        found::{Found, Node, Shown},
    },
};

/// The engine in force, and where bundles are made.
#[derive(Debug, Clone)]
pub(in crate::operations) struct EngineExecutor {
    pub(in crate::operations) engine: watch::Receiver<Engine>,
    pub(in crate::operations) archive: Arc<dyn Archive>,
}

impl Executor for EngineExecutor {
    async fn look(&self, components: &[String]) -> Result<Found, String> {
        let engine = self.engine.borrow().clone();
        let known = engine.profile().operable().components().values();
        let wanted = |one: &&Component| components.iter().any(|name| name == one.name.as_str());
        let wanted: Vec<_> = known.filter(wanted).collect();
        let look = async { tokio::join!(sightings(&engine, &wanted), unwell(&engine)) };
        let (shown, unwell) = timeout(DEADLINE, look).await.map_err(|_| late())?;
        Ok(Found { components: shown?, unwell })
    }

    async fn call(&self, work: Work, progress: Progress) -> Result<(), CallFailed> {
        match work {
            Work::Collect(asked) => self.collect(asked, progress).await,
            Work::Call { targets, method, json, timeout, task } => {
                let engine = self.engine.borrow().clone();
                let call = Prepared::new(&engine, &method, &json, &task)?;
                call.run(&targets, timeout, &progress).await
            }
        }
    }
}

impl EngineExecutor {
    async fn collect(&self, asked: Collecting, progress: Progress) -> Result<(), CallFailed> {
        let engine = self.engine.borrow().clone();
        let made = self.archive.make(asked, engine, progress).await;
        made.map(drop).map_err(|why| CallFailed::Refused(escape(&why, SHOWN)))
    }
}

async fn sightings(engine: &Engine, components: &[&Component]) -> Result<BTreeMap<String, Shown>, String> {
    let looks = components.iter().map(|component| async move {
        let sighting = engine.look(component).await;
        let sighting = sighting.map_err(|error| escape(&chain(&error).to_string(), SHOWN))?;
        Ok((component.name.to_string(), Shown::from(sighting)))
    });
    join_all(looks.collect::<Vec<_>>()).await.into_iter().collect()
}

async fn unwell(engine: &Engine) -> BTreeMap<String, String> {
    let probes = engine.targets().map(|target| async move { (target, engine.probe(target).await) });
    let healths = join_all(probes.collect::<Vec<_>>()).await;
    let why = |(target, health): (&TargetName, Health)| {
        let why = match health {
            Health::Serving => return None,
            Health::Unreachable => format!("The target {target} cannot be reached"),
            _ => format!("The target {target} is not well"),
        };
        Some((target.to_string(), why))
    };
    healths.into_iter().filter_map(why).collect()
}

impl From<Sighting> for Shown {
    fn from(sighting: Sighting) -> Self {
        let setting = |(name, value): (tunnel_protos::SettingName, String)| (name.to_string(), value);
        Self {
            replicas: sighting.replicas,
            release: sighting.release,
            settings: sighting.settings.into_iter().map(setting).collect(),
            nodes: sighting.nodes.into_iter().map(Node::from).collect(),
        }
    }
}

impl From<SightedNode> for Node {
    fn from(node: SightedNode) -> Self {
        let SightedNode { name, ready, release, incarnation } = node;
        Self { name: name.to_string(), ready, release, start: incarnation }
    }
}

/// A call that the profile's schema takes.
struct Prepared<'e> {
    engine: &'e Engine,
    method: Method,
    request: DynamicMessage,
    task: Option<&'e Task>,
}

impl<'e> Prepared<'e> {
    fn new(engine: &'e Engine, method: &str, json: &str, task: &str) -> Result<Self, CallFailed> {
        let profile = engine.profile();
        let gone = || CallFailed::Refused(format!("The engine profile does not know {method} any more"));
        let name: MethodName = method.parse().map_err(|_| gone())?;
        let method = profile.descriptors().and_then(|known| known.method(&name)).ok_or_else(gone)?;
        let request = method.request(json).map_err(|_| gone())?;
        let task = profile.operable().tasks().values().find(|known| known.name.as_str() == task);
        Ok(Self { engine, method, request, task })
    }

    /// At the first target that can be reached; one that may have got the call is the last.
    async fn run(&self, targets: &str, time: Duration, progress: &Progress) -> Result<(), CallFailed> {
        let mut last = CallFailed::Refused("The plan names no target".to_owned());
        for target in targets.split(", ").filter_map(|name| name.parse::<TargetName>().ok()) {
            let mut begun = false;
            match self.at(&target, time, progress, &mut begun).await {
                Err(error) if error.is_unsent() => last = self.failed(&target, &error, begun),
                Err(error) => return Err(self.failed(&target, &error, begun)),
                Ok(true) => return Ok(()),
                Ok(false) => return Err(CallFailed::Ended("The task ended, but not well".to_owned())),
            }
        }
        Err(last)
    }

    /// Whether it went well, once all of its answers came; `begun` from the first of them on. Only what the profile judges
    /// by is decoded.
    async fn at(
        &self,
        target: &TargetName,
        time: Duration,
        progress: &Progress,
        begun: &mut bool,
    ) -> Result<bool, CallError> {
        let mut answers = self.engine.stream(target, &self.method, self.request.clone(), time).await?;
        let Some(last) = self.follow(&mut answers, progress, begun).await? else { return Ok(true) };
        let Some(ok) = self.task.and_then(|task| task.ok.as_ref()) else { return Ok(true) };
        let ok = ok.clone();
        self.judge(&last, move |stage| ok.bool(stage)).await
    }

    async fn follow(
        &self,
        answers: &mut Messages,
        progress: &Progress,
        begun: &mut bool,
    ) -> Result<Option<Undecoded>, CallError> {
        let mut last = None;
        while let Some(answer) = answers.next().await? {
            *begun = true;
            self.count(&answer, progress).await?;
            last = Some(answer);
        }
        Ok(last)
    }

    async fn count(&self, answer: &Undecoded, progress: &Progress) -> Result<(), CallError> {
        let Some(counts) = self.task.and_then(|task| task.progress.clone()) else { return Ok(()) };
        let count = move |stage: &Stage<'_>| Ok((counts.done.number(stage)?, counts.total.number(stage)?));
        match self.judge(answer, count).await {
            Ok((done, total)) => progress.tell(done, total),
            // Progress that cannot be read is not shown; it says nothing about the task.
            Err(CallError::Judged(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn judge<T: Send + 'static>(
        &self,
        answer: &Undecoded,
        judge: impl FnOnce(&Stage<'_>) -> Result<T, EvaluationError> + Send + 'static,
    ) -> Result<T, CallError> {
        let answer = answer.clone();
        let work = move || {
            let message = answer.decode().map_err(CallError::Answer)?;
            let scope = Scope::default().message("response", &message).map_err(CallError::Large)?;
            scope.evaluate(judge).map_err(CallError::Judged)
        };
        self.engine.aside(work, JUDGED).await.map_err(CallError::Judged)?
    }

    fn failed(&self, target: &TargetName, error: &CallError, begun: bool) -> CallFailed {
        let why = escape(&chain(error).to_string(), SHOWN);
        let why = format!("{} at {target}: {why}", self.method.name());
        match error {
            CallError::Status(status) if is_refusal(status.code()) && begun => CallFailed::Ended(why),
            CallError::Status(status) if is_refusal(status.code()) => CallFailed::Refused(why),
            error if error.is_unsent() => CallFailed::Unsent(why),
            _ => CallFailed::Lost(why),
        }
    }
}

/// Whether the engine said no, by itself and for good; behind all else the call may go on.
fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated
    )
}

fn late() -> String {
    format!("The engine did not show itself within {} s", DEADLINE.as_secs())
}

/// Several calls at each target, each of a few seconds.
const DEADLINE: Duration = Duration::from_secs(30);
/// To judge one answer, which is bounded work.
const JUDGED: Duration = Duration::from_secs(3);
/// Of an engine's words in a sentence.
const SHOWN: usize = 192;

#[cfg(test)]
mod tests;
