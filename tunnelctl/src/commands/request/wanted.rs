//! From the command line to the operation that it asks for; whatever a client would refuse is refused here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use tunnel_certs::{
    file,
    statement::{
        release::{self, Release},
        request::{
            Operation,
            operation::{
                CollectDebug, ComponentUpgrade, Configure, Resources, Restart, RunTask, Scale, SettingChange,
                Size, Start, Upgrade, What,
            },
        },
    },
};
use tunnel_protos::PersonText;

use crate::{
    cli::{
        self, Order, Request, RequestConfigure, RequestDebug, RequestRestart, RequestRun, RequestScale,
        RequestUpgrade,
    },
    failure::Failure,
};

/// The operation that a command line asks for.
pub(crate) fn wanted(request: &Request) -> Result<Operation, Failure> {
    let (what, order) = match request {
        Request::Access(_) => return Err(Failure::Usage("access is no operation".into())),
        Request::Scale(args) => (scale(args)?, &args.order),
        Request::Upgrade(args) => (upgrade(args)?, &args.order),
        Request::Restart(args) => (restart(args), &args.order),
        Request::Configure(args) => (configure(args)?, &args.order),
        Request::Run(args) => (run(args), &args.order),
        Request::Debug(args) => (debug(args), &args.order),
    };
    let operation = Operation {
        what,
        start: start(order),
        dry_run: order.dry_run,
        wanted: order.wanted.unwrap_or_default(),
    };
    Ok(operation)
}

fn start(order: &Order) -> Start {
    match order.start {
        cli::Start::OnApproval => Start::OnApproval,
        cli::Start::OnCall => Start::OnCall,
    }
}

fn scale(args: &RequestScale) -> Result<What, Failure> {
    let size = match (args.expect, args.replicas) {
        (Some(expected), Some(wanted)) => Size::Replicas { expected, wanted },
        _ => resources(args)?,
    };
    Ok(What::Scale(Scale { component: args.component.clone(), size }))
}

fn resources(args: &RequestScale) -> Result<Size, Failure> {
    let read = |cpu: Option<u64>, memory: Option<u64>, storage: Option<u64>| Resources {
        cpu_millis: cpu.unwrap_or_default(),
        memory_bytes: memory.unwrap_or_default(),
        storage_bytes: storage.unwrap_or_default(),
    };
    let expected = read(args.expect_cpu, args.expect_memory, args.expect_storage);
    let wanted = read(args.cpu, args.memory, args.storage);
    if wanted.storage_bytes < expected.storage_bytes {
        return Err(Failure::Usage("storage only grows".into()));
    }
    Ok(Size::Resources { expected, wanted })
}

fn upgrade(args: &RequestUpgrade) -> Result<What, Failure> {
    if args.soak.is_some_and(|soak| soak > LONGEST_SOAK) {
        return Err(Failure::Usage("--soak is at most 1h".into()));
    }
    let mut manifests = Vec::new();
    for path in &args.releases {
        manifests.push(manifest(path)?);
    }
    let mut expected = expectations(&args.expect, &manifests)?;
    let mut components = Vec::new();
    for (manifest, bytes) in manifests {
        let component = manifest.component;
        let missing =
            || Failure::Usage(format!("{component} needs one --release and one --expect {component}=NAME"));
        let expected_release = expected.remove(component.as_str()).ok_or_else(missing)?;
        components.push(ComponentUpgrade { component, expected_release, release: bytes });
    }
    Ok(What::Upgrade(Upgrade {
        components,
        at_once: args.at_once,
        soak: args.soak,
        allow_downgrade: args.allow_downgrade,
    }))
}

/// A manifest that at least reads as one; whether enough release keys signed it is for the customer's client to say.
fn manifest(path: &Path) -> Result<(Release, Vec<u8>), Failure> {
    let input = |source: Box<dyn std::error::Error + Send + Sync>| Failure::Input {
        what: "the release",
        path: path.display().to_string(),
        source,
    };
    let bytes = file::read(path).map_err(|error| input(Box::new(error)))?;
    let (manifest, _) = release::read_unproven(&bytes).map_err(|error| input(Box::new(error)))?;
    Ok((manifest, bytes))
}

/// The release expected of each component; a bare name is that of the only one.
fn expectations(
    expect: &[String],
    manifests: &[(Release, Vec<u8>)],
) -> Result<BTreeMap<String, PersonText>, Failure> {
    let mut expected = BTreeMap::new();
    for text in expect {
        let (component, name) = match (manifests, named(text, manifests)) {
            (_, Some(found)) => found,
            ([(only, _)], None) => (only.component.to_string(), text.as_str()),
            _ => {
                return Err(Failure::Usage(format!(
                    "--expect {text}: write COMPONENT=NAME, for a component of a --release"
                )));
            }
        };
        let name: PersonText =
            name.parse().map_err(|error| Failure::Usage(format!("--expect {text}: the name is {error}")))?;
        if expected.insert(component, name).is_some() {
            return Err(Failure::Usage(format!("--expect {text}: this component has one already")));
        }
    }
    Ok(expected)
}

fn named<'t>(text: &'t str, manifests: &[(Release, Vec<u8>)]) -> Option<(String, &'t str)> {
    let (component, name) = text.split_once('=')?;
    let is_brought = manifests.iter().any(|(manifest, _)| manifest.component.as_str() == component);
    is_brought.then(|| (component.to_owned(), name))
}

fn restart(args: &RequestRestart) -> What {
    What::Restart(Restart {
        component: args.component.clone(),
        nodes: args.nodes.clone(),
        expected_replicas: args.expect,
    })
}

fn configure(args: &RequestConfigure) -> Result<What, Failure> {
    let mut expected: BTreeMap<_, _> = args.expect.iter().cloned().collect();
    let (names, wanted) =
        (expected.len(), args.set.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len());
    if names != args.expect.len() || wanted != args.set.len() {
        return Err(Failure::Usage("a setting is named twice".into()));
    }
    let mut settings = Vec::new();
    for (name, value) in args.set.iter().cloned() {
        let missing =
            || Failure::Usage(format!("what do you expect {name} to be now? --expect {name}=VALUE"));
        let expected = expected.remove(&name).ok_or_else(missing)?;
        settings.push(SettingChange { name, expected, value });
    }
    if let Some((name, _)) = expected.pop_first() {
        return Err(Failure::Usage(format!("--expect {name}: it is not --set to anything")));
    }
    Ok(What::Configure(Configure { component: args.component.clone(), settings }))
}

fn run(args: &RequestRun) -> What {
    let (targets, arguments) = (args.targets.clone(), args.arguments.clone());
    What::RunTask(RunTask { task: args.task.clone(), targets, arguments })
}

fn debug(args: &RequestDebug) -> What {
    What::CollectDebug(CollectDebug { collectors: args.collectors.clone(), targets: args.targets.clone() })
}

/// As clients bound it.
const LONGEST_SOAK: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
