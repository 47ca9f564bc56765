//! What people and scripts see.

use tunnel_protos::{UnixMillis, approvers as api, operations::Paint};

use super::*;

fn pending() -> api::RequestView {
    let reason = v1::Reason {
        r#type: v1::ReasonType::Incident.into(),
        text: "disk full".into(),
        ticket: "OPS-1".into(),
    };
    api::RequestView {
        id: "3fa85f64-5717-4562-b3fc-2c963f66afa6".into(),
        kind: "access".into(),
        words: "one two three four five six seven eight".into(),
        operator: "ann".into(),
        reason: Some(reason),
        state: v1::RequestState::Pending.into(),
        deadlines: Some(v1::Deadlines { pending_until_ms: 3_723_000, ..Default::default() }),
        methods: vec!["a.B/*".into()],
        asked: vec![api::AskedMethod {
            method: "a.B/Compact".into(),
            level: v1::GrantLevel::Manual.into(),
            mutates: true,
            limit_bytes: Some(64 << 20),
            limit_calls_per_minute: Some(600),
            limit_streams: None,
        }],
        targets: vec!["pod-3".into()],
        raw: true,
        wanted_ms: 7_200_000,
        work_window_ms: 3_600_000,
        claim_window_ms: 1_800_000,
        certificate_ttl_ms: 900_000,
        approvals_needed: 1,
        notified: vec![v1::Notified { who: "customer".into(), time_ms: 60_000 }],
        denied_before: "b3fc".into(),
        answers: vec![api::AnswerView {
            who: "alice".into(),
            answer: v1::Answer::Yes.into(),
            note: "ok".into(),
            signed: true,
            time_ms: 120_000,
        }],
        ..Default::default()
    }
}

#[test]
fn a_list_shows_pending_ones_first_with_their_deadline_and_words() {
    let over =
        api::RequestView { state: v1::RequestState::Active.into(), operator: "bob".into(), ..pending() };
    let text = requests(&[over, pending()], UnixMillis(0));
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with("3fa85f64  access  ann       pending  in 1h 2m"), "{text}");
    assert!(row.ends_with("seven eight"), "{text}");
    assert_eq!(requests(&[], UnixMillis(0)), "No requests.\n");
}

#[test]
fn one_request_shows_all_that_an_approver_must_see() {
    let text = request(&pending(), UnixMillis(0), Pasted::default(), Paint::Plain);
    let words = "'one two three four five six seven eight'";
    for expected in [
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "incident: disk full",
        "OPS-1",
        "As asked:  a.B/*",
        "a.B/Compact  manual  MUTATES  64.0 MiB, 600 calls/min",
        "pod-3",
        "Raw:",
        "0 of 1",
        "in 1h 2m (1970-01-01T01:02:03Z)",
        "30m from the yes",
        "1h from the first use",
        "15m each",
        "2h",
        "denied as b3fc",
        "customer at 1970-01-01T00:01:00Z",
        "alice  yes  1970-01-01T00:02:00Z  signed  ok",
        &format!("tunnel-client approve 3fa85f64-5717-4562-b3fc-2c963f66afa6 --words {words}"),
        "tunnel-client deny 3fa85f64-5717-4562-b3fc-2c963f66afa6",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
}

#[test]
fn a_pasted_command_reaches_the_same_daemon() {
    let pasted = Pasted { socket: Some(std::path::Path::new("/a b/x.sock")), key: false };
    let text = request(&pending(), UnixMillis(0), pasted, Paint::Plain);
    assert!(text.contains("--socket '/a b/x.sock' --words"), "{text}");
}

#[test]
fn whoever_needs_a_key_is_shown_the_line_with_it() {
    let line = |key| {
        let text = request(&pending(), UnixMillis(0), Pasted { key, ..Pasted::default() }, Paint::Plain);
        text.lines().find(|line| line.contains("tunnel-client approve")).unwrap().to_owned()
    };
    assert!(line(true).ends_with("eight' --key NAME.key"), "{}", line(true));
    assert!(line(false).ends_with("eight'"), "{}", line(false));
}

#[test]
fn a_dead_request_says_what_became_of_it_and_what_to_do() {
    let shown = |state: v1::RequestState, answer: Option<v1::Answer>| {
        let answers = answer.map(|answer| api::AnswerView { answer: answer.into(), ..Default::default() });
        let view = api::RequestView {
            state: state.into(),
            answers: answers.into_iter().collect(),
            rule: "no access rule matches".into(),
            ..pending()
        };
        request(&view, UnixMillis(0), Pasted::default(), Paint::Plain)
    };
    let (yes, no) = (Some(v1::Answer::Yes), Some(v1::Answer::No));
    for (state, answer, expected) in [
        (v1::RequestState::Denied, no, "A no is final"),
        (v1::RequestState::Denied, None, "tunnel-client policy explain"),
        (v1::RequestState::Expired, None, "Nobody answered in time"),
        (v1::RequestState::Withdrawn, None, "took it back"),
        (v1::RequestState::Revoked, yes, "tunnel-client audit report --grant 3fa85f64"),
        (v1::RequestState::Ended, yes, "tunnel-client audit report --grant 3fa85f64"),
    ] {
        let text = shown(state, answer);
        assert!(text.contains("What now") && text.contains(expected), "{expected} is missing in\n{text}");
        assert!(!text.contains("tunnel-client approve"), "{text}");
    }
    assert!(!shown(v1::RequestState::Active, yes).contains("What now"));
}

#[test]
fn only_a_denial_by_the_policy_names_the_policy() {
    let shown = |rule: &str| {
        let rule = rule.to_owned();
        let view = api::RequestView {
            state: v1::RequestState::Denied.into(),
            answers: Vec::new(),
            rule,
            ..pending()
        };
        request(&view, UnixMillis(0), Pasted::default(), Paint::Plain)
    };
    assert!(shown("approvals.runTask.compact").contains("policy explain runTask.compact"));
    assert!(shown("access rule 2").contains("policy explain"));
    for rule in ["operator", "restored", "admission", "expected"] {
        assert!(!shown(rule).contains("policy explain"), "{rule}");
    }
}

#[test]
fn hostile_texts_stay_in_their_place() {
    let evil = "x\u{1b}[2J\n! All is well\u{202e}\u{200b}";
    let mut view = pending();
    view.operator = evil.into();
    view.reason.as_mut().unwrap().text = evil.into();
    view.asked[0].method = evil.into();
    view.answers[0].note = evil.into();
    view.notified[0].who = evil.into();
    view.words = "a'; rm -rf / #".into();
    let text = request(&view, UnixMillis(0), Pasted::default(), Paint::Plain);
    assert!(!text.chars().any(|c| tunnel_protos::text::is_deceptive(c) && c != '\n'), "{text}");
    assert!(!text.lines().any(|line| line.starts_with("! All")), "{text}");
    assert!(text.contains(r"--words 'a'\''; rm -rf / #'"), "{text}");
}

#[test]
fn json_is_complete() {
    let json = json::request(&pending());
    assert_eq!(json["state"], "pending");
    assert_eq!(json["reason"]["type"], "incident");
    assert_eq!(json["deadlines"]["pendingUntil"], 3_723_000);
    assert_eq!(json["asked"][0]["limits"]["bytes"], 64 << 20);
    assert_eq!(json["asked"][0]["mutates"], true);
    assert_eq!(json["answers"][0]["answer"], "yes");
}

#[test]
fn status_says_what_needs_somebody_and_what_to_do() {
    let pause = api::PauseView {
        id: "6fbb".into(),
        since_ms: 1000,
        who: "uid 1001".into(),
        note: "odd".into(),
        ..Default::default()
    };
    let webhook = api::WebhookStatus {
        url: "https://hooks.example".into(),
        waiting: 2,
        last_error: "refused".into(),
        ..Default::default()
    };
    let audit = api::AuditStatus { error: "disk full".into(), ..Default::default() };
    let policy = api::PolicyStatus { error: "line 3".into(), ..Default::default() };
    let now = UnixMillis(61_000);
    let text = status(
        &api::Status {
            cluster: "acme/prod".into(),
            label: "aaaaaaaaaa".into(),
            pause: Some(pause),
            webhook: Some(webhook),
            audit: Some(audit),
            policy: Some(policy),
            requests_pending: 1,
            denied_operators: vec!["mallory".into()],
            ..Default::default()
        },
        &api::EnrollmentView { next: "Type the words".into(), ..Default::default() },
        now,
        false,
    );
    for expected in [
        "! Paused by uid 1001 1m ago",
        "`tunnel-client resume 6fbb`",
        "! The pause is not stored",
        "! 1 request(s) wait",
        "! The policy file is not in force: line 3",
        "! The audit log cannot be written",
        "! The webhook fails: refused (2 waiting)",
        "! No tunnel is attached",
        "! Type the words",
        "mallory",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no color unless asked");
}

#[test]
fn a_quiet_status_needs_nobody_and_leaves_out_what_is_empty() {
    let tunnel = api::TunnelStatus { state: "attached".into(), ..Default::default() };
    let quiet = api::Status { cluster: "acme/prod".into(), tunnels: vec![tunnel], ..Default::default() };
    let text = status(&quiet, &api::EnrollmentView::default(), UnixMillis(0), true);
    assert!(text.starts_with("Cluster:") && !text.contains("Webhook"), "{text}");
}

fn operation() -> api::RequestView {
    use tunnel_protos::operations::v1::*;

    let collected = Collected {
        collector: "status".into(),
        target: "default".into(),
        method: "a.B/Status".into(),
        fields: vec!["version".into(), "dbSize".into()],
        size_cap: 65_536,
        request_json: "{}".into(),
    };
    let change =
        Change { object: "storage".into(), field: "replicas".into(), old: "3".into(), new: "5".into() };
    let status = StepStatus { state: StepState::Calling.into(), done: 4, total: 10, ..Default::default() };
    let plan = Plan {
        title: "Scale storage from 3 to 5 replicas".into(),
        steps: vec![Step { title: "Add n4".into(), ..Default::default() }],
        diff: vec![change],
        risk: RiskClass::High.into(),
        risk_reason: "cannot be taken back".into(),
        leaves: vec![collected],
        ..Default::default()
    };
    let running = Operation {
        plan: Some(plan),
        plan_digest: vec![0xab; 32],
        steps: vec![status],
        started_ms: 1,
        ..Default::default()
    };
    let kind = v1::operation_request::Kind::Scale(v1::Scale {
        component: "storage".into(),
        expected_replicas: 3,
        replicas: 5,
        ..Default::default()
    });
    let asked = v1::OperationRequest {
        kind: Some(kind),
        start: v1::StartWhen::OnApproval.into(),
        ..Default::default()
    };
    api::RequestView {
        kind: "operation".into(),
        methods: vec![],
        asked: vec![],
        operation: Some(asked),
        running: Some(running),
        ..pending()
    }
}

#[test]
fn an_operation_shows_its_plan_as_a_diff_and_what_would_leave() {
    let text = request(&operation(), UnixMillis(0), Pasted::default(), Paint::Plain);
    for expected in [
        "Scale:     storage",
        "Replicas:  5 (expects 3)",
        "Begins:    as soon as it is approved",
        "Scale storage from 3 to 5 replicas",
        "      - replicas: 3\n      + replicas: 5\n",
        "Risk:     high: cannot be taken back",
        "Rollback: none",
        "status of default by a.B/Status {}, at most 65536 bytes:\n      version, dbSize",
        "Add n4  calling  4 of 10",
        "--plan abababababababab\n",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no color unless asked");
    let painted = request(&operation(), UnixMillis(0), Pasted::default(), Paint::Colors);
    assert!(painted.contains("\u{1b}[32m  + replicas: 5\u{1b}[0m"), "{painted}");
}

#[test]
fn one_that_runs_says_how_to_stop_it() {
    let running = api::RequestView { state: v1::RequestState::Running.into(), ..operation() };
    let text = request(&running, UnixMillis(0), Pasted::default(), Paint::Plain);
    assert!(text.contains("To stop it\n  tunnel-client cancel 3fa85f64"), "{text}");
    assert!(!text.contains("To answer"), "{text}");
}

#[test]
fn an_operation_is_complete_in_json() {
    let json = json::request(&operation());
    assert_eq!(json["operation"]["plan"]["diff"][0]["new"], "5");
    assert_eq!(json["operation"]["planDigest"], "ab".repeat(32));
    assert!(json::request(&pending())["operation"].is_null());
}
