//! A debug bundle: exactly which fields of which answers would be in it. It changes nothing.

use tunnel_certs::statement::request::operation::CollectDebug;
use tunnel_protos::{
    CollectorName, TargetName,
    operations::v1::{Collected, Plan, RiskClass, Step},
};

use super::{Ground, first_target, listed, millis, no_rollback, task};
use crate::{
    engine::profile::{Collector, Per},
    operations::PlanRefusal,
};

pub(super) fn plan(ground: Ground<'_>, asked: &CollectDebug) -> Result<Plan, PlanRefusal> {
    let targets = task::targets(ground.profile, &asked.targets)?;
    let collectors = asked.collectors.iter().map(|name| collector(ground, name));
    let collectors = collectors.collect::<Result<Vec<_>, _>>()?;
    let each = collectors.iter().flat_map(|collector| collected(ground, collector, asked, &targets));
    let leaves: Vec<_> = each.collect();
    let time = collectors.iter().map(|collector| millis(collector.call.timeout)).max().unwrap_or_default();
    let calls = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
    let names = listed(asked.collectors.iter());
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
        risk: RiskClass::Low.into(),
        risk_reason: "It only reads; what leaves is listed field by field".to_owned(),
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
) -> Vec<Collected> {
    let one = |target: String| Collected {
        collector: collector.name.to_string(),
        method: collector.call.method.name().to_string(),
        fields: collector.allow.paths().to_vec(),
        size_cap: collector.size_cap,
        target,
    };
    match (collector.per, &asked.targets[..]) {
        (Per::Target, _) => targets.iter().map(|target| one(target.to_string())).collect(),
        (Per::Once, []) => vec![one(first_target(ground.profile))],
        (Per::Once, _) => targets.first().map(|target| one(target.to_string())).into_iter().collect(),
    }
}

/// No component has this name in a plan: two bundles do not wait for an upgrade.
const BUNDLE: &str = "debug bundle";
/// For pruning, compressing and writing.
const PACKING_MS: u64 = 60_000;
