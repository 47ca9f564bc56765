//! Asks the engine for what a bundle is to hold, and cuts each answer down to the approved fields before anything else
//! is done with it.

use std::{collections::BTreeSet, time::Duration};

use tunnel_protos::{
    TargetName,
    dynamic::{Defaults, DynamicMessage, Value, to_json_within},
    operations::v1::Collected,
};

use crate::engine::{
    CallError, Engine,
    profile::{Collector, Vars},
};

/// Why there is no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CollectError {
    #[error("The engine profile has changed since collector {0} was approved; ask again")]
    Changed(String),
    #[error("The answer of collector {0} could not be cut down to the approved fields")]
    Fields(String),
    #[error("The answer of collector {collector} has more than the {cap} bytes that were approved")]
    Cap { collector: String, cap: u64 },
    #[error("The bundle would have more than {MOST_BYTES} bytes")]
    Total,
    #[error("The bundle would have more than {MOST_PARTS} files; ask for fewer collectors or targets")]
    Many,
    #[error("No target of the engine answered")]
    Nobody,
}

/// What came of one call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) collected: Collected,
    /// The answer as JSON, or why there is none, in words of ours.
    pub(super) content: Result<String, String>,
}

/// Everything, or nothing: a target that does not answer is told of, but an answer that does not fit spoils the whole.
pub(super) async fn collect(
    engine: &Engine,
    leaves: &[Collected],
    told: impl Fn(u64, u64),
) -> Result<Vec<Part>, CollectError> {
    if leaves.len() > MOST_PARTS {
        return Err(CollectError::Many);
    }
    let (mut parts, mut left, total) = (Vec::with_capacity(leaves.len()), MOST_BYTES, leaves.len() as u64);
    for (leaf, done) in leaves.iter().zip(0..) {
        told(done, total);
        let content = one(engine, leaf).await?;
        let size = content.as_ref().map_or(0, String::len) as u64;
        left = left.checked_sub(size).ok_or(CollectError::Total)?;
        parts.push(Part { collected: leaf.clone(), content });
    }
    told(total, total);
    if parts.iter().any(|part| part.content.is_ok()) { Ok(parts) } else { Err(CollectError::Nobody) }
}

async fn one(engine: &Engine, leaf: &Collected) -> Result<Result<String, String>, CollectError> {
    let changed = || CollectError::Changed(leaf.collector.clone());
    let (collector, target, request) = approved(engine, leaf).ok_or_else(changed)?;
    let answer = engine.call(&target, &collector.call.method, request, collector.call.timeout).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(said(&error))),
    };
    let (collector, of) = (collector.clone(), leaf.clone());
    let work = move || answer.decode().map(|message| cut(&collector, &of, &message));
    match engine.aside(work, CUT).await {
        Ok(Ok(content)) => content.map(Ok),
        Ok(Err(error)) => Ok(Err(error.to_string())),
        Err(_) => Ok(Err("no usable answer".to_owned())),
    }
}

/// The collector and its request, if they still are what was approved.
fn approved<'e>(engine: &'e Engine, leaf: &Collected) -> Option<(&'e Collector, TargetName, DynamicMessage)> {
    let profile = engine.profile();
    let collector = profile.operable().collectors().get(&leaf.collector.parse().ok()?)?;
    let target: TargetName = leaf.target.parse().ok()?;
    let same = collector.call.method.name().as_str() == leaf.method
        && collector.allow.paths() == leaf.fields
        && collector.size_cap == leaf.size_cap
        && profile.endpoints().contains_key(&target);
    let rendered = collector.call.request.render(&Vars::default().text("target", &target)).ok()?;
    (same && rendered.json == leaf.request_json).then_some((collector, target, rendered.message))
}

/// The listed fields of an answer as JSON; too much work for a thread that serves others.
pub(super) fn cut(
    collector: &Collector,
    leaf: &Collected,
    answer: &DynamicMessage,
) -> Result<String, CollectError> {
    let kept = collector.allow.prune(answer);
    let listed = leaf.fields.iter().map(String::as_str).collect();
    // Looked over once more by names, as they were approved.
    if !is_listed(&kept, "", &listed) {
        return Err(CollectError::Fields(leaf.collector.clone()));
    }
    let cap = usize::try_from(leaf.size_cap).unwrap_or(usize::MAX);
    let json = to_json_within(&kept, Defaults::Omit, cap);
    let json = json.map_err(|_| CollectError::Fields(leaf.collector.clone()))?;
    json.ok_or_else(|| CollectError::Cap { collector: leaf.collector.clone(), cap: leaf.size_cap })
}

fn is_listed(message: &DynamicMessage, around: &str, listed: &BTreeSet<&str>) -> bool {
    let known = message.unknown_fields().next().is_none() && message.extensions().next().is_none();
    known
        && message.fields().all(|(field, value)| {
            let separator = if around.is_empty() { "" } else { "." };
            is_value_listed(value, &format!("{around}{separator}{}", field.name()), listed)
        })
}

fn is_value_listed(value: &Value, path: &str, listed: &BTreeSet<&str>) -> bool {
    match value {
        Value::Message(message) => is_listed(message, path, listed),
        Value::List(values) => values.iter().all(|value| is_value_listed(value, path, listed)),
        Value::Map(entries) => entries.values().all(|value| is_value_listed(value, path, listed)),
        _ => listed.contains(path),
    }
}

/// In words of ours: what an engine says of its errors may hold anything.
fn said(error: &CallError) -> String {
    match error {
        CallError::Status(status) => format!("the engine answered {:?}", status.code()),
        CallError::Deadline(_) => "no answer in time".to_owned(),
        CallError::Connect(_) | CallError::Target(_) => "not reached".to_owned(),
        CallError::Credential(_) => "its credential cannot be read".to_owned(),
        CallError::Endless | CallError::Answer(_) | CallError::Large(_) | CallError::Judged(_) => {
            "no usable answer".to_owned()
        }
    }
}

/// Much more than facts about an engine take; less than a disk or an operator's link minds.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// Of work that is bounded; a machine that takes longer has other troubles.
const CUT: Duration = Duration::from_secs(20);

/// More than anybody reads through before letting them go.
const MOST_PARTS: usize = 1_000;
