//! An operation as it was asked for, in the words of people and of the command line.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tunnel_certs::statement::{
    release,
    request::{
        Operation,
        operation::{ComponentUpgrade, Resources, Size, Start, Upgrade, What},
    },
};
use tunnel_runtime::layout::quoted;

/// What is remembered of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// `scale`, `runTask` …
    pub kind: String,
    /// For people: `scale storage from 3 to 5 replicas`.
    pub title: String,
    /// What `tunnelctl request` is given after the cluster, reason aside, to ask the same again.
    pub words: String,
    /// Its subcommand.
    pub command: String,
    /// It waits for `start`.
    pub on_call: bool,
    /// It is only planned.
    pub dry_run: bool,
}

impl Asked {
    /// Of a request that is being made.
    pub fn of(operation: &Operation) -> Self {
        let mut words = words(&operation.what);
        if operation.dry_run {
            words.push("--dry-run".into());
        } else if operation.start == Start::OnCall {
            words.push("--start on-call".into());
        }
        if !operation.wanted.is_zero() {
            words.push(format!("--for {}", duration(operation.wanted)));
        }
        Self {
            kind: operation.what.name().into(),
            title: title(&operation.what),
            words: words.join(" "),
            command: command(&operation.what).into(),
            on_call: operation.start == Start::OnCall,
            dry_run: operation.dry_run,
        }
    }
}

fn command(what: &What) -> &'static str {
    match what {
        What::Scale(_) => "scale",
        What::Upgrade(_) => "upgrade",
        What::Restart(_) => "restart",
        What::Configure(_) => "configure",
        What::RunTask(_) => "run",
        What::CollectDebug(_) => "debug",
    }
}

fn title(what: &What) -> String {
    match what {
        What::Scale(scale) => format!("scale {} {}", scale.component, size(scale.size)),
        What::Upgrade(upgrade) => {
            let one = |one: &ComponentUpgrade| {
                format!("{} from {} to {}", one.component, one.expected_release, brought(one))
            };
            format!("upgrade {}", list(&upgrade.components, one))
        }
        What::Restart(restart) if restart.nodes.is_empty() => {
            format!("restart all {} nodes of {}", restart.expected_replicas, restart.component)
        }
        What::Restart(restart) => {
            format!("restart {} of {}", list(&restart.nodes, ToString::to_string), restart.component)
        }
        What::Configure(configure) => {
            let changes = list(&configure.settings, |set| {
                format!("{} from {} to {}", set.name, set.expected, set.value)
            });
            format!("configure {}: {changes}", configure.component)
        }
        What::RunTask(task) if task.arguments.is_empty() => format!("run {}", task.task),
        What::RunTask(task) => {
            let arguments = list(&task.arguments, |(name, value)| format!("{name}={value}"));
            format!("run {} ({arguments})", task.task)
        }
        What::CollectDebug(debug) => {
            format!("collect debug: {}", list(&debug.collectors, ToString::to_string))
        }
    }
}

fn size(size: Size) -> String {
    match size {
        Size::Replicas { expected, wanted } => format!("from {expected} to {wanted} replicas"),
        Size::Resources { expected, wanted } => {
            let amounts = amounts(expected, wanted).into_iter();
            let changes: Vec<_> =
                amounts.map(|(name, old, new)| format!("{name} from {old} to {new}")).collect();
            changes.join(", ")
        }
    }
}

/// Those that are wanted, as the command line names and reads them.
fn amounts(expected: Resources, wanted: Resources) -> Vec<(&'static str, String, String)> {
    let all = [
        ("cpu", expected.cpu_millis, wanted.cpu_millis, "m"),
        ("memory", expected.memory_bytes, wanted.memory_bytes, "B"),
        ("storage", expected.storage_bytes, wanted.storage_bytes, "B"),
    ];
    let asked = all.into_iter().filter(|(_, _, wanted, _)| *wanted > 0);
    asked.map(|(name, old, new, unit)| (name, format!("{old}{unit}"), format!("{new}{unit}"))).collect()
}

/// The release's own name.
fn brought(upgrade: &ComponentUpgrade) -> String {
    let read = release::read_unproven(&upgrade.release);
    read.map_or_else(|_| "an unreadable release".into(), |(manifest, _)| manifest.name.to_string())
}

fn words(what: &What) -> Vec<String> {
    match what {
        What::Scale(scale) => {
            let mut words = vec![scale.component.to_string()];
            words.extend(size_words(scale.size));
            words
        }
        What::Upgrade(upgrade) => upgrade_words(upgrade),
        What::Restart(restart) => {
            let mut words = vec![restart.component.to_string()];
            words.extend(restart.nodes.iter().map(|node| format!("--node {node}")));
            words.push(format!("--expect {}", restart.expected_replicas));
            words
        }
        What::Configure(configure) => {
            let mut words = vec![configure.component.to_string()];
            words.extend(configure.settings.iter().map(|set| {
                let pair = |value: &dyn std::fmt::Display| quoted(&format!("{}={}", set.name, value));
                format!("--expect {} --set {}", pair(&set.expected), pair(&set.value))
            }));
            words
        }
        What::RunTask(task) => {
            let mut words = vec![task.task.to_string()];
            words.extend(
                task.arguments
                    .iter()
                    .map(|(name, value)| format!("--arg {}", quoted(&format!("{name}={value}")))),
            );
            words.extend(task.targets.iter().map(|target| format!("--target {target}")));
            words
        }
        What::CollectDebug(debug) => {
            let mut words: Vec<_> = debug.collectors.iter().map(ToString::to_string).collect();
            words.extend(debug.targets.iter().map(|target| format!("--target {target}")));
            words
        }
    }
}

fn upgrade_words(upgrade: &Upgrade) -> Vec<String> {
    let one = |one: &ComponentUpgrade| {
        let expected = quoted(&format!("{}={}", one.component, one.expected_release));
        format!("--release {}.release --expect {expected}", one.component)
    };
    let mut words: Vec<_> = upgrade.components.iter().map(one).collect();
    if upgrade.at_once > 1 {
        words.push(format!("--at-once {}", upgrade.at_once));
    }
    words.extend(upgrade.soak.map(|soak| format!("--soak {}", duration(soak))));
    if upgrade.allow_downgrade {
        words.push("--allow-downgrade".into());
    }
    words
}

fn size_words(size: Size) -> Vec<String> {
    match size {
        Size::Replicas { expected, wanted } => vec![format!("--expect {expected} --replicas {wanted}")],
        Size::Resources { expected, wanted } => amounts(expected, wanted)
            .into_iter()
            .map(|(name, old, new)| format!("--expect-{name} {old} --{name} {new}"))
            .collect(),
    }
}

/// As the command line reads it, in one word.
pub fn duration(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace(' ', "")
}

fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
