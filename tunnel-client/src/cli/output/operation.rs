//! Operations and bundles: what was asked, the plan as a diff, where it stands, and exactly what would leave.

use tunnel_protos::{
    UnixMillis, approvers as api,
    operations::{self, Paint, v1::*},
    v1::{self, operation_request::Kind},
};

use super::text::{block, bytes, columns, fields, moment, safe, stamp};

/// What a request for an operation asks, its plan and how far it is; nothing for other kinds.
pub(super) fn operation(view: &api::RequestView, paint: Paint) -> String {
    let Some(asked) = &view.operation else { return String::new() };
    let mut text = block("Asks for", &fields(self::asked(asked)));
    let running = view.running.clone().unwrap_or_default();
    text += &match &running.plan {
        Some(plan) => block("Plan", &operations::plan_text(plan, paint)),
        None => block("Plan", &no_plan(view.state(), &running.plan_digest)),
    };
    if running.started_ms > 0 {
        text += &block("Steps so far", &steps(&running));
    }
    if let Some(bundle) = &running.bundle {
        text += &block("Bundle", &self::bundle(bundle));
    }
    text
}

/// Why there is no plan to show: it is still to come, was never made, or was dropped with what it was for.
fn no_plan(state: v1::RequestState, digest: &[u8]) -> String {
    match (state, digest) {
        (v1::RequestState::Pending, _) => "It is being made; look again in a moment.\n".into(),
        (_, []) => "None was made.\n".into(),
        (_, digest) => {
            format!("It is no longer kept; its digest was {}.\n", data_encoding::HEXLOWER.encode(digest))
        }
    }
}

fn asked(asked: &v1::OperationRequest) -> Vec<(&'static str, String)> {
    let mut rows = match &asked.kind {
        Some(Kind::Scale(scale)) => self::scale(scale),
        Some(Kind::Upgrade(upgrade)) => self::upgrade(upgrade),
        Some(Kind::Restart(restart)) => {
            let nodes = if restart.nodes.is_empty() { "all".into() } else { restart.nodes.join(", ") };
            let expects = format!("{} nodes", restart.expected_replicas);
            vec![("Restart", restart.component.clone()), ("Nodes", nodes), ("Expects", expects)]
        }
        Some(Kind::Configure(configure)) => {
            let one =
                |set: &v1::SettingChange| format!("{} = {} (expects {})", set.name, set.value, set.expected);
            let mut rows = vec![("Configure", configure.component.clone())];
            rows.extend(configure.settings.iter().map(|set| ("Sets", one(set))));
            rows
        }
        Some(Kind::RunTask(task)) => {
            let mut rows = vec![("Run", task.task.clone()), ("Targets", task.targets.join(", "))];
            rows.extend(task.arguments.iter().map(|of| ("Argument", format!("{} = {}", of.name, of.value))));
            rows
        }
        Some(Kind::CollectDebug(debug)) => {
            vec![("Collect", debug.collectors.join(", ")), ("Targets", debug.targets.join(", "))]
        }
        None => vec![("Operation", "unknown to this program".into())],
    };
    rows.push(("Begins", begins(asked).into()));
    rows
}

fn begins(asked: &v1::OperationRequest) -> &'static str {
    match (asked.dry_run, asked.start()) {
        (true, _) => "never: it is only planned",
        (false, v1::StartWhen::OnApproval) => "as soon as it is approved",
        (false, v1::StartWhen::OnCall) => "when its operator says so, once it is approved",
        (false, v1::StartWhen::Unspecified) => "nobody knows when",
    }
}

fn scale(scale: &v1::Scale) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Scale", scale.component.clone())];
    if scale.replicas > 0 {
        rows.push(("Replicas", format!("{} (expects {})", scale.replicas, scale.expected_replicas)));
    }
    let (wanted, expected) =
        (scale.resources.unwrap_or_default(), scale.expected_resources.unwrap_or_default());
    let cpu = |millis: u64| format!("{millis}m");
    for (name, wanted, expected, shown) in [
        ("CPU each", wanted.cpu_millis, expected.cpu_millis, &cpu as &dyn Fn(u64) -> String),
        ("Memory each", wanted.memory_bytes, expected.memory_bytes, &bytes),
        ("Storage each", wanted.storage_bytes, expected.storage_bytes, &bytes),
    ] {
        if wanted > 0 {
            rows.push((name, format!("{} (expects {})", shown(wanted), shown(expected))));
        }
    }
    rows
}

fn upgrade(upgrade: &v1::Upgrade) -> Vec<(&'static str, String)> {
    let one = |of: &v1::ComponentUpgrade| {
        ("Upgrade", format!("{} (expects {})", of.component, of.expected_release))
    };
    let mut rows: Vec<_> = upgrade.components.iter().map(one).collect();
    if upgrade.allow_downgrade {
        rows.push(("Downgrade", "allowed".into()));
    }
    rows
}

fn steps(running: &Operation) -> String {
    let title = |index: usize| {
        let step = running.plan.as_ref().and_then(|plan| plan.steps.get(index));
        step.map_or_else(|| format!("step {}", index + 1), |step| step.title.clone())
    };
    let row = |(index, status): (usize, &StepStatus)| {
        let units =
            if status.total > 0 { format!("{} of {}", status.done, status.total) } else { String::new() };
        vec![title(index), operations::step_state(status.state()), units, status.text.clone()]
    };
    columns(&running.steps.iter().enumerate().map(row).collect::<Vec<_>>())
}

/// Whether it left, and every file of it.
pub(in crate::cli) fn bundle(bundle: &Bundle) -> String {
    let released = match bundle.released {
        true => format!("yes, by {} at {}", bundle.released_by, stamp(bundle.released_ms)),
        false => "no".into(),
    };
    let mut text = fields(vec![
        ("Digest", data_encoding::HEXLOWER.encode(&bundle.digest)),
        ("Size", bytes(bundle.bytes)),
        ("Released", released),
    ]);
    let mut rows = vec![["FILE", "SIZE", "COLLECTOR"].map(str::to_owned).to_vec()];
    let row = |file: &BundleFile| vec![file.path.clone(), bytes(file.bytes), file.collector.clone()];
    rows.extend(bundle.files.iter().map(row));
    text += &columns(&rows);
    text
}

/// The bundles that lie here.
pub(in crate::cli) fn bundles(views: &[api::BundleView], now: UnixMillis) -> String {
    if views.is_empty() {
        return "No bundles.\n".into();
    }
    let mut rows = vec![["ID", "OPERATOR", "MADE", "SIZE", "FILES", "RELEASED"].map(str::to_owned).to_vec()];
    rows.extend(views.iter().map(|view| row(view, now)));
    columns(&rows)
}

fn row(view: &api::BundleView, now: UnixMillis) -> Vec<String> {
    let bundle = view.bundle.clone().unwrap_or_default();
    let released = if bundle.released { format!("by {}", safe(&bundle.released_by)) } else { "no".into() };
    vec![
        view.id.chars().take(8).collect(),
        view.operator.clone(),
        moment(view.made_ms, now),
        bytes(bundle.bytes),
        bundle.files.len().to_string(),
        released,
    ]
}
