//! What people see of a plan.

use super::*;
use crate::text::is_deceptive;

fn step() -> Step {
    let gate = Gate { title: "n1 is ready".into(), soak_ms: 30_000, deadline_ms: 300_000 };
    let undo = Undo {
        target: "default".into(),
        method: "engine.admin.v1.Admin/Upgrade".into(),
        request_json: r#"{"nodes":["n1"],"release":"2.4.0"}"#.into(),
        timeout_ms: 1500,
    };
    Step {
        title: "Upgrade n1 to 2.4.1".into(),
        object: "n1".into(),
        target: "default".into(),
        method: "engine.admin.v1.Admin/Upgrade".into(),
        request_json: r#"{"nodes":["n1"],"release":"2.4.1"}"#.into(),
        timeout_ms: 60_000,
        gate: Some(gate),
        undo: Some(undo),
    }
}

fn plan() -> Plan {
    let change = |field: &str, old: &str, new: &str| Change {
        object: "storage".into(),
        field: field.into(),
        old: old.into(),
        new: new.into(),
    };
    Plan {
        title: "Upgrade storage from 2.4.0 to 2.4.1".into(),
        executor: "engine".into(),
        steps: vec![step()],
        diff: vec![change("release", "2.4.0", "2.4.1"), change("note", "", "x")],
        affected: vec!["n1".into(), "n2".into()],
        risk: RiskClass::Medium.into(),
        risk_reason: "one node at a time is away".into(),
        preconditions: vec![Precondition { what: "release of storage".into(), value: "2.4.0".into() }],
        rollback: Some(Rollback { automatic: true, to: "release 2.4.0".into() }),
        leaves: vec![Collected {
            collector: "status".into(),
            target: "default".into(),
            method: "a.B/Status".into(),
            fields: vec!["version".into(), "dbSize".into()],
            size_cap: 65_536,
            request_json: r#"{"part":"a"}"#.into(),
        }],
        releases: vec![PlannedRelease {
            component: "storage".into(),
            product: "engine".into(),
            name: "2.4.1".into(),
            release_seq: 41,
            images: vec!["r.example/storage@sha256:07".into()],
            signed_by: vec!["00aa".into(), "11bb".into()],
            downgrade: true,
        }],
        ..Plan::default()
    }
}

#[test]
fn everything_that_is_decided_on_stands_there() {
    let text = text(&plan(), Paint::Plain);
    for expected in [
        "Upgrade storage from 2.4.0 to 2.4.1\n",
        "Risk:     medium: one node at a time is away\n",
        "Touches:  n1, n2\n",
        "Rollback: automatic when a step fails, to release 2.4.0\n",
        "  storage\n    - release: 2.4.0\n    + release: 2.4.1\n    - note: (empty)\n    + note: x\n",
        "storage 2.4.1 (sequence 41)  DOWNGRADE",
        "r.example/storage@sha256:07",
        "signed by 00aa, 11bb",
        "1. Upgrade n1 to 2.4.1 (changes n1)\n",
        r#"engine.admin.v1.Admin/Upgrade {"nodes":["n1"],"release":"2.4.1"} at default, within 1m"#,
        "then: n1 is ready for 30s, within 5m\n",
        r#"taken back by: engine.admin.v1.Admin/Upgrade {"nodes":["n1"],"release":"2.4.0"} at default, within 1500 ms"#,
        "release of storage is 2.4.0\n",
        "status of default by a.B/Status {\"part\":\"a\"}, at most 65536 bytes:\n    version, dbSize\n",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn without_a_way_back_it_says_so() {
    for rollback in [None, Some(Rollback { automatic: false, to: "x".into() })] {
        let text = text(&Plan { rollback, ..plan() }, Paint::Plain);
        assert!(text.contains("Rollback: none: when a step fails, it stops where it is\n"), "{text}");
    }
}

#[test]
fn changes_are_red_and_green_where_colors_are_shown() {
    let text = text(&plan(), Paint::Colors);
    assert!(text.contains("\u{1b}[31m  - release: 2.4.0\u{1b}[0m"), "{text}");
    assert!(text.contains("\u{1b}[32m  + release: 2.4.1\u{1b}[0m"), "{text}");
}

#[test]
fn a_long_request_is_not_cut() {
    let mut plan = plan();
    plan.steps[0].request_json = format!("{{\"value\":\"{}END\"}}", "x".repeat(20_000));
    assert!(text(&plan, Paint::Plain).contains("xEND\"} at default"));
}

#[test]
fn no_text_leaves_its_place() {
    let evil = "x\u{1b}[2J\nSteps\n  1. harmless\u{202e}";
    let mut plan = plan();
    plan.title = evil.into();
    plan.risk_reason = evil.into();
    plan.affected[0] = evil.into();
    plan.diff[0].old = evil.into();
    plan.diff[0].field = evil.into();
    plan.steps[0].title = evil.into();
    plan.steps[0].request_json = evil.into();
    plan.preconditions[0].value = evil.into();
    plan.leaves[0].fields[0] = evil.into();
    plan.releases[0].images[0] = evil.into();
    plan.rollback = Some(Rollback { automatic: true, to: evil.into() });
    let text = text(&plan, Paint::Plain);
    assert!(!text.chars().any(|c| is_deceptive(c) && c != '\n'), "{text}");
    assert_eq!(text.lines().filter(|line| *line == "Steps").count(), 1, "{text}");
}
