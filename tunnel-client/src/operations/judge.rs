//! What a look at the engine means for a step: whether it took effect, may begin, or is good. Pure.
//!
//! Invariant: a value that is neither the old nor the new one, nor on its way between them, was put there by somebody
//! else, and is left alone.

use std::collections::BTreeMap;

use tunnel_protos::{
    operations::v1::{Change, Plan, Precondition, Step},
    text::escape,
};

use super::found::{Found, HEALTH, NODES, READINESS, RELEASE, REPLICAS, START, UNREADY, UNWELL, of};

/// Whether a step shows in what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Everything that it changes is new.
    Done,
    /// Everything is as before.
    NotDone,
    /// Some is new.
    Partly,
    /// Something is between old and new, or is not shown for now: it tells of nobody else.
    OnItsWay,
    /// Something is as nobody planned it; one sentence.
    Foreign(String),
    /// It changes nothing that can be seen.
    Unseen,
}

/// Which way a run goes through its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Way {
    /// From the first to the last.
    #[default]
    Forth,
    /// Back to where it was.
    Back,
}

/// Facts just before a step was called, for what no plan can know: when a node was started last.
pub(super) type Marks = BTreeMap<String, String>;

/// Names of what a step changes.
pub(super) fn objects(step: &Step) -> impl Iterator<Item = &str> {
    step.object.split(", ")
}

/// What to remember of `found` before a step is called.
pub(super) fn marks(step: &Step, found: &Found) -> Marks {
    let mut facts = found.facts();
    let start = |object| facts.remove_entry(&of(START, object));
    objects(step).filter_map(start).collect()
}

/// Whether a step took effect.
pub(super) fn effect(plan: &Plan, step: &Step, marks: &Marks, found: &Found) -> Effect {
    // A target may bear a node's name, whose start says nothing of a task.
    if !plan.task.is_empty() {
        return Effect::Unseen;
    }
    let facts = found.facts();
    let changes: Vec<_> =
        plan.diff.iter().filter(|change| objects(step).any(|o| o == change.object)).collect();
    if changes.is_empty() {
        return restarted(step, marks, &facts);
    }
    let sides: Result<Vec<_>, _> = changes.iter().map(|change| side(change, &facts)).collect();
    let sides = match sides {
        Ok(sides) => sides,
        Err(foreign) => return Effect::Foreign(foreign),
    };
    match sides.iter().filter(|side| **side == Side::New).count() {
        _ if sides.contains(&Side::Between) => Effect::OnItsWay,
        0 => Effect::NotDone,
        all if all == sides.len() => Effect::Done,
        _ => Effect::Partly,
    }
}

/// Where a field is between its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
    Between,
}

/// Where a field is; an error says that somebody else was there.
fn side(change: &Change, facts: &BTreeMap<String, String>) -> Result<Side, String> {
    let what = of(&change.field, &change.object);
    match facts.get(&what) {
        Some(now) if *now == change.new => Ok(Side::New),
        Some(now) if *now == change.old => Ok(Side::Old),
        // A node that does not come up is left out of many an engine's answer.
        None => Ok(Side::Between),
        Some(now) if is_between(change, now) => Ok(Side::Between),
        Some(now) => {
            Err(format!("The {what} is {}, neither {} nor {}", escape(now, SHOWN), change.old, change.new))
        }
    }
}

/// A release that is not known yet, or replicas of which some have come or gone.
fn is_between(change: &Change, now: &str) -> bool {
    match change.field.as_str() {
        RELEASE => now.is_empty(),
        REPLICAS => {
            let number = |text: &str| text.parse::<u32>().ok();
            let (old, new) = (number(&change.old), number(&change.new));
            number(now).is_some_and(|now| old.min(new) < Some(now) && Some(now) < old.max(new))
        }
        _ => false,
    }
}

/// By the starts of this step's own objects alone.
fn restarted(step: &Step, marks: &Marks, facts: &BTreeMap<String, String>) -> Effect {
    let own = objects(step).map(|object| of(START, object));
    let is_listed = |object| facts.contains_key(&of(READINESS, object));
    if !marks.is_empty() && !objects(step).all(is_listed) {
        return Effect::OnItsWay;
    }
    let marked = own.filter_map(|what| Some((marks.get(&what)?, facts.get(&what))));
    let seen: Vec<_> = marked.map(|(before, now)| now.map(|now| now != before)).collect();
    if seen.is_empty() || seen.contains(&None) {
        return Effect::Unseen;
    }
    match seen.iter().filter(|restarted| **restarted == Some(true)).count() {
        0 => Effect::NotDone,
        all if all == seen.len() => Effect::Done,
        _ => Effect::Partly,
    }
}

/// Why the step at `next` must not begin: something is not as the plan found it, and not as the steps before left it.
pub(super) fn moved_on(plan: &Plan, next: usize, found: &Found) -> Option<String> {
    let facts = found.facts();
    let one = |what: String, planned: &str| {
        let allowed = allowed(plan, next, &what, planned);
        let now = facts.get(&what).map_or("not shown any more", String::as_str);
        (!allowed.contains(&now))
            .then(|| format!("The {what} was {} and is {}", allowed.join(" or "), escape(now, SHOWN)))
    };
    let passing = [of(READINESS, ""), of(HEALTH, "")];
    let lasting = |condition: &&Precondition| !passing.iter().any(|what| condition.what.starts_with(what));
    let lasting = plan.preconditions.iter().filter(lasting);
    let lasting = lasting.map(|condition| (condition.what.clone(), &condition.value));
    // What is to be changed must be as it was shown to whoever approved.
    let changed = plan.diff.iter().map(|change| (of(&change.field, &change.object), &change.old));
    lasting.chain(changed).find_map(|(what, planned)| one(what, planned))
}

/// What a fact may be before the step at `next`.
fn allowed<'p>(plan: &'p Plan, next: usize, what: &str, planned: &'p str) -> Vec<&'p str> {
    let Some(change) = plan.diff.iter().find(|change| of(&change.field, &change.object) == what) else {
        return vec![planned];
    };
    let changes = |step: &Step| objects(step).any(|object| object == change.object);
    match plan.steps.iter().position(changes) {
        Some(at) if at < next => vec![&change.new],
        Some(_) => vec![&change.old],
        // No step by itself changes it: the engine counts it together while the steps are on their way.
        None if next > 0 => vec![&change.old, &change.new],
        None => vec![&change.old],
    }
}

/// Whether the gate of the step at `at` holds at this moment; if not, why.
pub(super) fn gate(plan: &Plan, at: usize, way: Way, marks: &Marks, found: &Found) -> Result<(), String> {
    let is_last = way == Way::Forth && at + 1 >= plan.steps.len();
    let excused = |target: &str| !is_last && was(plan, HEALTH, target, UNWELL);
    if let Some((_, why)) = found.unwell.iter().find(|(target, _)| !excused(target)) {
        return Err(why.clone());
    }
    let Some(step) = plan.steps.get(at) else { return Ok(()) };
    all_listed(plan, way == Way::Forth && !is_last, found)?;
    match (effect(plan, step, marks, found), way) {
        (Effect::Unseen, _) | (Effect::Done, Way::Forth) | (Effect::NotDone, Way::Back) => {}
        (Effect::Foreign(why), _) => return Err(why),
        (_, Way::Forth) => return Err(format!("{} does not show the change yet", step.object)),
        (Effect::OnItsWay, Way::Back) => return Err(format!("{} is not as before yet", step.object)),
        (_, Way::Back) => return Err(format!("{} still shows the change", step.object)),
    }
    let excused =
        |node: &str| was(plan, READINESS, node, UNREADY) && (way == Way::Back || comes_later(plan, at, node));
    match found.unready().find(|node| !excused(&node.name)) {
        Some(node) => Err(format!("{} is not ready", node.name)),
        None => Ok(()),
    }
}

/// Whether every node that was planned with is listed, and, if `exactly`, no other: the next step would not begin.
fn all_listed(plan: &Plan, exactly: bool, found: &Found) -> Result<(), String> {
    let facts = found.facts();
    for condition in plan.preconditions.iter().filter(|condition| condition.what.starts_with(&of(NODES, "")))
    {
        let listed = facts.get(&condition.what).map_or("", String::as_str);
        let is_listed = |node| listed.split(", ").any(|one| one == node);
        if !condition.value.split(", ").all(is_listed) {
            return Err(format!("Not all {} are shown", condition.what));
        }
        if exactly && listed != condition.value {
            return Err(format!("There are other {} than planned", condition.what));
        }
    }
    Ok(())
}

/// Whether the plan found it so.
fn was(plan: &Plan, field: &str, object: &str, value: &str) -> bool {
    let what = of(field, object);
    plan.preconditions.iter().any(|condition| condition.what == what && condition.value == value)
}

fn comes_later(plan: &Plan, at: usize, node: &str) -> bool {
    plan.steps.iter().skip(at + 1).any(|step| objects(step).any(|object| object == node))
}

/// Of an engine's word in a sentence.
const SHOWN: usize = 128;

#[cfg(test)]
mod tests;
