//! What decisions cost: the gate's on one call, and the policy's on a request under many rules. Pure, one thread.

use std::{collections::BTreeSet, fmt::Write as _, hint::black_box, sync::Arc};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::time::Instant;
use tunnel_client::{
    gate::{
        grants::{self, Grant, GrantRef, Level, Life},
        rehearsal::Rehearsal,
    },
    policy::{Ask, Decision, Facts, Methods, Policy, Targets, decide},
};
use tunnel_protos::{Door, MethodName, MethodPattern, RequestId, TargetName, UnixMillis};

use super::stats::percentile;

/// Microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// All that is decided on one call, the mean.
    pub call_us: f64,
    /// Deciding a request under 200 rules; 1 % take longer.
    pub decide_p99_us: f64,
}

/// Measures both over a grant and a policy of 200 methods and as many rules.
pub fn measure() -> Result<Costs> {
    let methods: Vec<MethodName> = (0..RULES).map(method).collect::<Result<_>>()?;
    let known = Methods::new(methods.clone(), BTreeSet::new(), [0; 32]);
    let policy = Policy::load(&text(), Arc::new(known))?;
    Ok(Costs { call_us: calls(&methods, &policy)?, decide_p99_us: decisions(&policy)? })
}

fn calls(methods: &[MethodName], policy: &Policy) -> Result<f64> {
    let rehearsal = Rehearsal::new(grant(methods)?, policy);
    let paths: Vec<String> = methods.iter().map(MethodName::path).collect();
    let start = Instant::now();
    for path in paths.iter().cycle().take(CALLS) {
        rehearsal.call(black_box(path), NOW).map_err(|refusal| anyhow!("{path}: {refusal:?}"))?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / CALLS as f64)
}

/// The whole service is asked for, so each rule is somebody's first match.
fn decisions(policy: &Policy) -> Result<f64> {
    let target = TargetName::default_target();
    let targets: Targets = [target.clone()].into();
    let facts = Facts { policy, targets: &targets };
    let pattern = MethodPattern::Service(SERVICE.into());
    let ask = Ask { methods: vec![pattern], targets: [target].into(), raw: false, issued: NOW };
    ensure!(matches!(decide(&facts, &ask, NOW), Decision::Auto(..)), "the request is not allowed");
    let one = || {
        let start = Instant::now();
        black_box(decide(&facts, black_box(&ask), NOW));
        start.elapsed().as_secs_f64() * 1e6
    };
    let mut took: Vec<f64> = (0..DECISIONS).map(|_| one()).collect();
    took.sort_by(f64::total_cmp);
    Ok(percentile(&took, 0.99))
}

fn grant(methods: &[MethodName]) -> Result<GrantRef> {
    let (writer, view) = grants::channel();
    let door = Door::from_random([3; 17]);
    let grant = Grant {
        id: RequestId::random().into(),
        operator: "ada".parse()?,
        methods: methods.iter().map(|method| (method.clone(), Level::Auto)).collect(),
        doors: [(TargetName::default_target(), door)].into(),
        raw: false,
        operation: None,
    };
    writer.put(grant, Life::Active { until: UnixMillis(i64::MAX) });
    view.door(&door).context("the grant has a door")
}

fn method(number: usize) -> Result<MethodName> {
    Ok(format!("{SERVICE}/Method{number}").parse()?)
}

/// One rule for each method.
fn text() -> String {
    let mut text = "version: 1\naccess:\n".to_owned();
    for number in 0..RULES {
        let _ = writeln!(text, "  - {{ methods: [{SERVICE}/Method{number}], approval: auto }}");
    }
    text
}

const SERVICE: &str = "engine.admin.v1.Admin";
const RULES: usize = 200;
const CALLS: usize = 400_000;
const DECISIONS: usize = 1000;
const NOW: UnixMillis = UnixMillis(1_000_000_000);
