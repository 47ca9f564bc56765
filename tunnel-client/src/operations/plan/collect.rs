//! A debug bundle: exactly which fields of which answers would be in it. It changes nothing.

use tunnel_certs::statement::request::operation::CollectDebug;
use tunnel_protos::{
    CollectorName, TargetName,
    operations::v1::{Collected, Plan, RiskClass, Step},
};

use super::{Ground, first_target, listed, millis, no_rollback, task, unrendered};
use crate::{
    engine::profile::{Collector, Per, Vars},
    operations::PlanRefusal,
};

pub(super) fn plan(ground: Ground<'_>, asked: &CollectDebug) -> Result<Plan, PlanRefusal> {
    let targets = task::targets(ground.profile, &asked.targets)?;
    let collectors = asked.collectors.iter().map(|name| collector(ground, name));
    let collectors = collectors.collect::<Result<Vec<_>, _>>()?;
    let mut leaves = Vec::new();
    for collector in &collectors {
        leaves.extend(collected(ground, collector, asked, &targets)?);
    }
    let time = collectors.iter().map(|collector| millis(collector.call.timeout)).max().unwrap_or_default();
    let calls = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
    let names = listed(asked.collectors.iter());
    let (risk, risk_reason) = risk(ground, &collectors);
    let step = Step {
        title: format!("Collect {names}"),
        object: BUNDLE.to_owned(),
        timeout_ms: time.saturating_mul(calls).saturating_add(PACKING_MS),
        ..Step::default()
    };
    Ok(Plan {
        title: format!("Collect a debug bundle of {names}"),
        affected: leaves
            .iter()
            .map(|leaf| leaf.target.clone())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect(),
        rollback: no_rollback("Nothing is changed"),
        component: BUNDLE.to_owned(),
        risk: risk.into(),
        risk_reason,
        steps: vec![step],
        leaves,
        ..Plan::default()
    })
}

fn collector<'g>(ground: Ground<'g>, name: &CollectorName) -> Result<&'g Collector, PlanRefusal> {
    let known = ground.profile.operable().collectors();
    known.get(name).ok_or_else(|| {
        let names = listed(known.keys());
        PlanRefusal::new("collector", format!("The engine profile has no collector {name}; it has {names}"))
    })
}

fn collected(
    ground: Ground<'_>,
    collector: &Collector,
    asked: &CollectDebug,
    targets: &[TargetName],
) -> Result<Vec<Collected>, PlanRefusal> {
    let one = |target: String| {
        let rendered = collector.call.request.render(&Vars::default().text("target", &target));
        let request_json = rendered.map_err(|error| unrendered(&collector.call, &error))?.json;
        Ok(Collected {
            collector: collector.name.to_string(),
            method: collector.call.method.name().to_string(),
            fields: collector.allow.paths().to_vec(),
            size_cap: collector.size_cap,
            request_json,
            target,
        })
    };
    match (collector.per, &asked.targets[..]) {
        (Per::Target, _) => targets.iter().map(|target| one(target.to_string())).collect(),
        (Per::Once, []) => Ok(vec![one(first_target(ground.profile))?]),
        (Per::Once, _) => targets.first().map(|target| one(target.to_string())).into_iter().collect(),
    }
}

/// Low only if the profile lists each method as one that changes nothing.
fn risk(ground: Ground<'_>, collectors: &[&Collector]) -> (RiskClass, String) {
    let mut methods = collectors.iter().map(|collector| collector.call.method.name());
    match methods.find(|method| !ground.profile.is_read_only(method)) {
        None => (RiskClass::Low, "It only reads; what leaves is listed field by field".to_owned()),
        Some(method) => {
            (RiskClass::Medium, format!("The engine profile does not list {method} as one that only reads"))
        }
    }
}

/// No component has this name in a plan: two bundles do not wait for an upgrade.
const BUNDLE: &str = "debug bundle";
/// For pruning, compressing and writing.
const PACKING_MS: u64 = 60_000;
