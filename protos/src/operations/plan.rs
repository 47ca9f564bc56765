//! A plan for people: all that an approver decides on, and nothing of it left out.
//!
//! Invariant: every text of a plan is escaped here, so that no value can pass for another line of it.

use std::{fmt::Write, time::Duration};

use super::{risk, v1::*};
use crate::{text::escape, time::lasting};

/// Whether changes are marked by colors, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// On a terminal that shows them.
    Colors,
    /// Anywhere else.
    Plain,
}

impl Paint {
    fn apply(self, color: &str, text: &str) -> String {
        match self {
            Self::Colors => format!("\x1b[{color}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// The whole plan, as lines that each end.
pub fn text(plan: &Plan, paint: Paint) -> String {
    let mut text = head(plan, paint);
    section(&mut text, paint, "Changes", &changes(&plan.diff, paint));
    section(
        &mut text,
        paint,
        "Releases",
        &plan.releases.iter().map(|of| release(of, paint)).collect::<Vec<_>>(),
    );
    section(
        &mut text,
        paint,
        "Would leave, and nothing else",
        &plan.leaves.iter().map(collected).collect::<Vec<_>>(),
    );
    let steps = plan.steps.iter().enumerate();
    section(
        &mut text,
        paint,
        "Steps",
        &steps.map(|(index, of)| step(index + 1, of, paint)).collect::<Vec<_>>(),
    );
    section(
        &mut text,
        paint,
        "Only while this is so",
        &plan.preconditions.iter().map(condition).collect::<Vec<_>>(),
    );
    text
}

fn head(plan: &Plan, paint: Paint) -> String {
    let title = paint.apply(BOLD, &safe(&plan.title));
    let (class, color) = match plan.risk() {
        RiskClass::Low => (risk(RiskClass::Low), GREEN),
        RiskClass::Medium => (risk(RiskClass::Medium), YELLOW),
        high => (risk(high), RED),
    };
    let reason =
        if plan.risk_reason.is_empty() { String::new() } else { format!(": {}", safe(&plan.risk_reason)) };
    let affected: Vec<_> = plan.affected.iter().map(|name| safe(name)).collect();
    format!(
        "{title}\n{:<10}{}{reason}\n{:<10}{}\n{:<10}{}\n{:<10}{}\n",
        "Risk:",
        paint.apply(color, &class),
        "Touches:",
        if affected.is_empty() { "nothing".into() } else { affected.join(", ") },
        "Rollback:",
        rollback(plan.rollback.as_ref()),
        "By:",
        safe(&plan.executor),
    )
}

fn rollback(rollback: Option<&Rollback>) -> String {
    match rollback {
        Some(Rollback { automatic: true, to }) if to.is_empty() => "automatic when a step fails".into(),
        Some(Rollback { automatic: true, to }) => format!("automatic when a step fails, to {}", safe(to)),
        Some(_) | None => "none: when a step fails, it stops where it is".into(),
    }
}

fn section(text: &mut String, paint: Paint, title: &str, blocks: &[String]) {
    if blocks.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "\n{}", paint.apply(BOLD, title));
    for line in blocks.iter().flat_map(|block| block.lines()) {
        let _infallible = writeln!(text, "  {line}");
    }
}

/// Old and new as in a diff, under the name of each object.
fn changes(diff: &[Change], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let mut object = None;
    for change in diff {
        if object != Some(&change.object) {
            lines.push(safe(&change.object));
            object = Some(&change.object);
        }
        lines.push(paint.apply(RED, &value('-', &change.field, &change.old)));
        lines.push(paint.apply(GREEN, &value('+', &change.field, &change.new)));
    }
    lines
}

fn value(mark: char, field: &str, value: &str) -> String {
    let value = if value.is_empty() { "(empty)".into() } else { safe(value) };
    format!("  {mark} {}: {value}", safe(field))
}

fn release(release: &PlannedRelease, paint: Paint) -> String {
    let mut text =
        format!("{} {} (sequence {})", safe(&release.component), safe(&release.name), release.release_seq);
    if release.downgrade {
        text += &format!("  {}", paint.apply(RED, "DOWNGRADE: not above the highest seen here"));
    }
    for image in &release.images {
        text += &format!("\n  {}", safe(image));
    }
    let signers: Vec<_> = release.signed_by.iter().map(|name| safe(name)).collect();
    text +=
        &format!("\n  signed by {}", if signers.is_empty() { "nobody".into() } else { signers.join(", ") });
    text
}

/// What a collector would send.
fn collected(of: &Collected) -> String {
    let fields: Vec<_> = of.fields.iter().map(|field| safe(field)).collect();
    format!(
        "{} of {} by {} {}, at most {} bytes:\n  {}",
        safe(&of.collector),
        safe(&of.target),
        safe(&of.method),
        escape(&of.request_json, usize::MAX),
        of.size_cap,
        if fields.is_empty() { "no field".into() } else { fields.join(", ") },
    )
}

fn step(number: usize, step: &Step, paint: Paint) -> String {
    let mut text = format!("{number}. {}", paint.apply(BOLD, &safe(&step.title)));
    if !step.object.is_empty() {
        text += &format!(" (changes {})", safe(&step.object));
    }
    text += &format!("\n   {}", call(&step.method, &step.request_json, &step.target, step.timeout_ms));
    if let Some(gate) = &step.gate {
        text += &format!("\n   then: {}", self::gate(gate));
    }
    if let Some(undo) = &step.undo {
        text += &format!(
            "\n   taken back by: {}",
            call(&undo.method, &undo.request_json, &undo.target, undo.timeout_ms)
        );
    }
    text
}

/// The request stands in full: what is approved is what will be sent.
fn call(method: &str, request: &str, target: &str, timeout_ms: u64) -> String {
    let request = escape(request, usize::MAX);
    let (method, target) = (safe(method), safe(target));
    format!("{method} {request} at {target}, within {}", millis(timeout_ms))
}

fn gate(gate: &Gate) -> String {
    let soak = match gate.soak_ms {
        0 => String::new(),
        soak => format!(" for {}", millis(soak)),
    };
    format!("{}{soak}, within {}", safe(&gate.title), millis(gate.deadline_ms))
}

fn condition(condition: &Precondition) -> String {
    format!("{} is {}", safe(&condition.what), safe(&condition.value))
}

fn millis(ms: u64) -> String {
    if ms.is_multiple_of(1000) { lasting(Duration::from_millis(ms)) } else { format!("{ms} ms") }
}

fn safe(text: &str) -> String {
    escape(text, LONGEST)
}

/// As long as any value of a setting; what is cut is seen to be cut.
const LONGEST: usize = 4096;
const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

#[cfg(test)]
mod tests;
