//! From the message to the typed operation: grammar and bounds of each field.

use std::{collections::BTreeSet, time::Duration};

use tunnel_protos::{PersonText, v1};

use super::{
    operation::{
        CollectDebug, ComponentUpgrade, Configure, Operation, Resources, Restart, RunTask, Scale,
        SettingChange, Size, Start, Upgrade, What,
    },
    read::{Fault, field, text},
};

pub(super) fn operation(message: v1::OperationRequest) -> Result<Operation, Fault> {
    let start = match message.start() {
        v1::StartWhen::Unspecified => return Err(Fault::Field("start")),
        v1::StartWhen::OnApproval => Start::OnApproval,
        v1::StartWhen::OnCall => Start::OnCall,
    };
    Ok(Operation {
        start,
        dry_run: message.dry_run,
        wanted: Duration::from_millis(message.wanted_ms),
        what: what(message.kind.ok_or(Fault::NoKind)?)?,
    })
}

fn what(kind: v1::operation_request::Kind) -> Result<What, Fault> {
    use v1::operation_request::Kind;
    Ok(match kind {
        Kind::Scale(message) => What::Scale(scale(&message)?),
        Kind::Upgrade(message) => What::Upgrade(upgrade(message)?),
        Kind::Restart(message) => What::Restart(restart(&message)?),
        Kind::Configure(message) => What::Configure(configure(&message)?),
        Kind::RunTask(message) => What::RunTask(run_task(&message)?),
        Kind::CollectDebug(message) => What::CollectDebug(collect_debug(&message)?),
    })
}

fn scale(message: &v1::Scale) -> Result<Scale, Fault> {
    let size = match (message.expected_resources, message.resources) {
        (None, None) => Size::Replicas {
            expected: at_least_one("expected replicas", message.expected_replicas)?,
            wanted: at_least_one("replicas", message.replicas)?,
        },
        (Some(expected), Some(wanted)) if (message.expected_replicas, message.replicas) == (0, 0) => {
            resources(expected, wanted)?
        }
        _ => return Err(Fault::Field("size (replicas or resources, with what is expected)")),
    };
    Ok(Scale { component: field("component", &message.component)?, size })
}

fn resources(expected: v1::Resources, wanted: v1::Resources) -> Result<Size, Fault> {
    let read = |v1::Resources { cpu_millis, memory_bytes, storage_bytes }| Resources {
        cpu_millis,
        memory_bytes,
        storage_bytes,
    };
    let (expected, wanted) = (read(expected), read(wanted));
    if wanted == Resources::default() {
        return Err(Fault::Field("resources"));
    }
    Ok(Size::Resources { expected, wanted })
}

fn upgrade(message: v1::Upgrade) -> Result<Upgrade, Fault> {
    let strategy = message.strategy.unwrap_or_default();
    if strategy.soak_ms > MAX_SOAK_MS {
        return Err(Fault::Field("soak time"));
    }
    number("components", &message.components, 1, MAX_COMPONENTS)?;
    let components: Result<Vec<_>, _> = message.components.into_iter().map(component).collect();
    let components = components?;
    once("component", components.iter().map(|upgrade| &upgrade.component))?;
    Ok(Upgrade {
        components,
        at_once: strategy.at_once.max(1),
        soak: (strategy.soak_ms > 0).then(|| Duration::from_millis(strategy.soak_ms)),
        allow_downgrade: message.allow_downgrade,
    })
}

fn component(message: v1::ComponentUpgrade) -> Result<ComponentUpgrade, Fault> {
    if message.release.is_empty() {
        return Err(Fault::Field("release"));
    }
    Ok(ComponentUpgrade {
        component: field("component", &message.component)?,
        expected_release: text("expected release", &message.expected_release)?,
        release: message.release,
    })
}

fn restart(message: &v1::Restart) -> Result<Restart, Fault> {
    Ok(Restart {
        component: field("component", &message.component)?,
        nodes: few("nodes", "node", &message.nodes)?,
        expected_replicas: at_least_one("expected replicas", message.expected_replicas)?,
    })
}

fn configure(message: &v1::Configure) -> Result<Configure, Fault> {
    number("settings", &message.settings, 1, MAX_ITEMS)?;
    let settings: Result<Vec<_>, _> = message.settings.iter().map(setting).collect();
    let settings = settings?;
    once("setting", settings.iter().map(|change| &change.name))?;
    Ok(Configure { component: field("component", &message.component)?, settings })
}

fn setting(message: &v1::SettingChange) -> Result<SettingChange, Fault> {
    Ok(SettingChange {
        name: field("setting", &message.name)?,
        expected: text("expected value", &message.expected)?,
        value: text("value", &message.value)?,
    })
}

fn run_task(message: &v1::RunTask) -> Result<RunTask, Fault> {
    number("arguments", &message.arguments, 0, MAX_ARGUMENTS)?;
    let one = |argument: &v1::Argument| -> Result<_, Fault> {
        let value: PersonText = text("argument", &argument.value)?;
        Ok((field("argument", &argument.name)?, value))
    };
    let arguments: Result<Vec<_>, _> = message.arguments.iter().map(one).collect();
    let arguments = arguments?;
    once("argument", arguments.iter().map(|(name, _)| name))?;
    Ok(RunTask {
        task: field("task", &message.task)?,
        targets: few("targets", "target", &message.targets)?,
        arguments,
    })
}

fn collect_debug(message: &v1::CollectDebug) -> Result<CollectDebug, Fault> {
    number("collectors", &message.collectors, 1, MAX_ITEMS)?;
    Ok(CollectDebug {
        collectors: few("collectors", "collector", &message.collectors)?,
        targets: few("targets", "target", &message.targets)?,
    })
}

/// At most 64, each once; may be none.
fn few<T: std::str::FromStr + Ord>(
    what: &'static str,
    item: &'static str,
    texts: &[String],
) -> Result<Vec<T>, Fault> {
    number(what, texts, 0, MAX_ITEMS)?;
    let items: Result<Vec<T>, _> = texts.iter().map(|text| field(item, text)).collect();
    let items = items?;
    once(item, items.iter())?;
    Ok(items)
}

fn number<T>(what: &'static str, items: &[T], least: usize, most: usize) -> Result<(), Fault> {
    let got = items.len();
    if (least..=most).contains(&got) { Ok(()) } else { Err(Fault::Number { what, got }) }
}

/// Of two with one name nobody could say which counts.
fn once<'i, T: Ord + 'i>(what: &'static str, items: impl Iterator<Item = &'i T>) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for item in items {
        if !seen.insert(item) {
            return Err(Fault::Field(what));
        }
    }
    Ok(())
}

fn at_least_one(name: &'static str, number: u32) -> Result<u32, Fault> {
    if number == 0 { Err(Fault::Field(name)) } else { Ok(number) }
}

/// As many as an approver can read.
const MAX_ITEMS: usize = 64;
const MAX_ARGUMENTS: usize = 32;
const MAX_COMPONENTS: usize = 16;
/// Longer is not a soak but a standing change.
const MAX_SOAK_MS: u64 = 3_600_000;
