//! The customer's looks at the log, over a real one.

mod exported;

use std::sync::Arc;

use tempfile::TempDir;
use tunnel_certs::{key::Signer, words::Words};
use tunnel_protos::{Digest, v1};

use super::*;
use crate::audit::{self as log, Asked, By, Call, Called, Event, Millis, Move, Outcome};

const GRANT: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

/// A state folder with a cluster key and a log of one grant, and one more request of somebody else.
struct Office {
    dir: TempDir,
    key: SigningKey,
}

impl Office {
    async fn new(reason: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::load_or_create(&dir.path().join("cluster.key"), Algorithm::Ed25519).unwrap();
        let office = Self { dir, key };
        let config = crate::config::AuditConfig::default();
        let cluster = crate::config::Cluster {
            name: "acme/prod".parse().unwrap(),
            label: "k3v7aaaaaa".parse().unwrap(),
        };
        let (audit, log) = log::Audit::open(config.settings(office.dir.path(), &cluster)).unwrap();
        for event in [moved("pending", GRANT, "ann", reason), moved("approved", GRANT, "ann", reason)] {
            audit.outcome(audit.intent(event).await.unwrap(), Outcome::Moved);
        }
        let call = Call {
            grant: GRANT.parse().unwrap(),
            target: "default".parse().unwrap(),
            method: Arc::new("e.Engine/Set".parse().unwrap()),
        };
        let called = Called { started: Millis(UnixMillis(1_000)), status: 0, bytes_in: 30, bytes_out: 12 };
        audit.outcome(audit.intent(Event::Call(call.clone())).await.unwrap(), Outcome::Called(called));
        audit.note(Event::Read { call, called });
        let other = moved("denied", "11111111-1111-4111-8111-111111111111", "bob", "curious");
        audit.outcome(audit.intent(other).await.unwrap(), Outcome::Moved);
        log.close().await;
        office
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn config(&self) -> Config {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("example.yaml");
        let mut config = Config::read(&example, std::collections::BTreeMap::new()).unwrap().config;
        config.state_dir = self.dir.path().to_owned();
        config
    }

    fn run(&self, command: &[&str]) -> (String, Exit) {
        use clap::Parser;
        let line = ["tunnel-client", "audit"].iter().chain(command);
        let task = crate::cli::Cli::try_parse_from(line).unwrap().into_task();
        let crate::cli::Task::Audit(audit) = task else { panic!("an audit command") };
        let mut out = Vec::new();
        let exit = audit.run(|_| Ok(self.config()), &mut out).unwrap();
        (String::from_utf8(out).unwrap(), exit)
    }
}

/// A reader that has enough after so many bytes.
struct Head(usize);

impl std::io::Write for Head {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_it_well() {
    use clap::Parser;
    let office = Office::new("disk").await;
    for command in [&["show"][..], &["show", "--output", "json"], &["export"]] {
        let line = ["tunnel-client", "audit"].iter().chain(command);
        let task = crate::cli::Cli::try_parse_from(line).unwrap().into_task();
        let crate::cli::Task::Audit(audit) = task else { panic!("an audit command") };
        let exit = audit.run(|_| Ok(office.config()), &mut Head(700));
        assert_eq!(exit.unwrap(), Exit::Ok, "{command:?}");
    }
}

fn moved(state: &'static str, request: &str, operator: &str, reason: &str) -> Event {
    let digest = Digest::new([7; 32]);
    Event::Move(Box::new(Move {
        request: request.parse().unwrap(),
        subject: "access",
        operator: operator.parse().unwrap(),
        state,
        rule: "access[0]".into(),
        why: "By rule".into(),
        digest,
        words: Words::of(&digest).to_string(),
        asked: Some(Asked {
            occasion: "incident",
            reason: reason.into(),
            ticket: "T-1".into(),
            methods: vec!["e.Engine/*".into()],
            operation: None,
            targets: vec!["default".into()],
            about: None,
            issued: Millis(UnixMillis(500)),
        }),
        granted: Vec::new(),
        by: (state == "approved").then(|| By { by: "alice".into(), note: "go".into(), approval: Vec::new() }),
        late: false,
    }))
}

#[tokio::test]
async fn verify_says_whole_and_ends_well_or_names_the_record_and_ends_with_one() {
    let office = Office::new("disk").await;
    let (text, exit) = office.run(&["verify"]);
    assert!(text.starts_with("Whole: records 1 to") && exit == Exit::Ok, "{text}");
    let file = log::segment::list(&office.folder()).unwrap()[0].path.clone();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"bob\"", "\"eve\"")).unwrap();
    let (text, exit) = office.run(&["verify"]);
    assert!(text.contains("record 9") && text.contains("edited") && exit == Exit::Failed, "{text}");
    let (text, exit) = office.run(&["verify", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((json["record"].as_u64(), exit), (Some(9), Exit::Failed));
}

#[tokio::test]
async fn show_filters_by_grant_and_by_operator_and_by_time() {
    let office = Office::new("disk").await;
    let (text, _) = office.run(&["show", "--grant", "3fa8"]);
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(text.contains("called e.Engine/Set on default: Ok, 30 B in, 12 B out"), "{text}");
    assert!(text.contains("3fa85f64  ann") && !text.contains("bob"), "{text}");
    let (text, _) = office.run(&["show", "--operator", "ann"]);
    assert!(text.contains("called e.Engine/Set") && !text.contains("bob"), "{text}");
    let (text, _) = office.run(&["show", "--since", "2100-01-01T00:00:00Z"]);
    assert_eq!(text, "No records.\n");
    let (text, _) = office.run(&["show", "--request", "1111", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["records"][0]["operator"], "bob");
}

#[tokio::test]
async fn a_line_tells_people_when_who_what_and_how_it_went() {
    let office = Office::new("disk").await;
    let (text, _) = office.run(&["show"]);
    let asked = "3fa85f64  ann         access pending: e.Engine/* on default, incident: disk (T-1) – By rule (access[0])";
    assert!(text.lines().any(|line| line.ends_with(asked)), "{asked} is missing in\n{text}");
    assert!(text.contains("3fa85f64  ann         calls e.Engine/Set on default, which mutates"), "{text}");
    assert!(text.contains("read e.Engine/Set on default: Ok, 30 B in, 12 B out"), "{text}");
    assert!(!text.contains('{'), "no JSON: {text}");
    // What has no words of its own loses nothing.
    assert!(text.lines().next().unwrap().contains("origin cluster=acme/prod label=k3v7aaaaaa"), "{text}");
}

#[test]
fn where_there_is_no_log_it_says_where_it_looked_and_how_to_look_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    for folder in [dir.path().to_owned(), dir.path().join("none")] {
        let error = verify(&folder, Format::Text, &mut Vec::new()).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(&folder.display().to_string()) && text.contains("--config"), "{text}");
    }
}

#[tokio::test]
async fn a_note_is_shown_whatever_else_has_its_letters_and_once() {
    let office = Office::new("disk").await;
    let config = office.config();
    let settings = config.audit.settings(office.dir.path(), &config.cluster.clone().unwrap());
    let (audit, log) = log::Audit::open(settings).unwrap();
    let by = |note: &str| By { by: "alice".into(), note: note.into(), approval: Vec::new() };
    audit.record(Event::Pause { pause: "p".into(), by: by("pause") }).await.unwrap();
    for (why, note) in [("Revoked by alice: ada", "ada"), ("Revoked by ada", "ada")] {
        let Event::Move(mut moved) = moved("revoked", GRANT, "ann", "disk") else { panic!("no move") };
        (moved.why, moved.rule, moved.by) = (why.into(), String::new(), Some(by(note)));
        audit.record(Event::Move(moved)).await.unwrap();
    }
    log.close().await;
    let (text, _) = office.run(&["show"]);
    for end in ["paused everything – pause", "(T-1) – Revoked by alice: ada", "– Revoked by ada – ada"]
    {
        assert!(text.lines().any(|line| line.ends_with(end)), "{end} is missing in\n{text}");
    }
}

#[tokio::test]
async fn report_signs_what_was_done_and_tells_it_on_a_page() {
    let office = Office::new("disk").await;
    let out = office.dir.path().join("r.pb");
    let (page, _) = office.run(&["report", "--grant", GRANT, "--out", out.to_str().unwrap()]);
    for expected in [
        "Asked by      ann",
        "T-1",
        "approved by alice: go",
        "Calls: 2, 60 bytes from",
        "e.Engine/Set",
        "--signed-by",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let receipt = receipt::open(&file::read(&out).unwrap(), office.key.public()).unwrap();
    assert_eq!((receipt.grant.to_string().as_str(), receipt.state), (GRANT, v1::RequestState::Approved));
    assert_eq!((receipt.calls.len(), receipt.calls[0].bytes_in), (2, 30));
    assert_eq!(receipt.records.0, 2);
}

#[tokio::test]
async fn a_receipt_names_a_call_that_still_runs() {
    let office = Office::new("disk").await;
    let config = office.config();
    let settings = config.audit.settings(office.dir.path(), &config.cluster.clone().unwrap());
    let (audit, log) = log::Audit::open(settings).unwrap();
    let (target, method) = ("default".parse().unwrap(), Arc::new("e.Engine/Compact".parse().unwrap()));
    let call = Call { grant: GRANT.parse().unwrap(), target, method };
    let running = audit.intent(Event::Call(call)).await.unwrap();
    let out = office.dir.path().join("r.pb").display().to_string();
    let (page, _) = office.run(&["report", "--grant", GRANT, "--out", &out]);
    assert!(page.contains("Calls: 3,") && page.contains("e.Engine/Compact  status 2"), "{page}");
    audit.outcome(running, Outcome::Failed);
    log.close().await;
    let (page, _) = office.run(&["report", "--grant", GRANT, "--out", &out]);
    assert!(page.contains("Calls: 2,") && !page.contains("Compact"), "{page}");
}

#[tokio::test]
async fn a_receipt_of_an_operation_tells_plan_steps_and_end() {
    const ID: &str = "4fa85f64-5717-4562-b3fc-2c963f66afa6";
    let office = Office::new("disk").await;
    let config = office.config();
    let settings = config.audit.settings(office.dir.path(), &config.cluster.clone().unwrap());
    let (audit, log) = log::Audit::open(settings).unwrap();
    let (request, plan) = (ID.parse().unwrap(), Digest::new([9; 32]));
    let at = |state| {
        let Event::Move(mut moved) = moved(state, ID, "ann", "disk") else { panic!("no move") };
        moved.subject = "operation";
        moved.asked.as_mut().unwrap().operation = Some("scale storage: 3 → 4 replicas".to_owned());
        Event::Move(moved)
    };
    let planned =
        Event::Planned { request, operation: "scale".into(), title: "Scale".into(), plan, steps: 1 };
    let step = |back| Event::Step {
        request,
        step: 1,
        title: "Add a node".into(),
        target: "default, replica-2".into(),
        method: "e.Engine/Set".into(),
        back,
        late: false,
    };
    let gate = Event::Gate { request, step: 1, held: false };
    for event in [at("pending"), planned, at("running"), at("running"), step(false), gate, step(true)] {
        audit.record(event).await.unwrap();
    }
    for (ends, outcome) in [(false, Outcome::Moved), (true, Outcome::Failed), (true, Outcome::Unknown)] {
        let entry = audit.intent(step(ends)).await.unwrap();
        audit.outcome(entry, outcome);
    }
    audit.record(at("rolledBack")).await.unwrap();
    log.close().await;
    let out = office.dir.path().join("r.pb").display().to_string();
    let (page, _) = office.run(&["report", "--grant", ID, "--out", &out]);
    for expected in
        ["scale storage", "planned: Scale", "step 1: Add a node", "not well in time", "step 1 taken back"]
    {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    for once in
        ["step 1 taken back: Add a node (not done)", "(nobody knows whether it was done)", "Calls: 0,"]
    {
        assert_eq!(page.matches(once).count(), 1, "{once} in {page}");
    }
    assert_eq!(page.matches("running (").count(), 1, "{page}");
    let receipt = receipt::open(&file::read(Path::new(&out)).unwrap(), office.key.public()).unwrap();
    assert_eq!(receipt.state, v1::RequestState::RolledBack);
}

#[tokio::test]
async fn a_script_gets_the_receipt_as_json() {
    let office = Office::new("disk").await;
    let out = office.dir.path().join("r.pb").display().to_string();
    let (said, _) = office.run(&["report", "--grant", GRANT, "--out", &out, "--output", "json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["file"], &said["grant"]), (&out.into(), &GRANT.into()));
    assert_eq!(said["calls"].as_array().unwrap().len(), 2);
    assert_eq!(said["records"]["first"], 2);
}

#[tokio::test]
async fn nothing_from_outside_reaches_a_terminal_as_it_is() {
    let office = Office::new("fine\u{202e}\u{1b}[31m").await;
    let out = office.dir.path().join("r.pb");
    let (page, _) = office.run(&["report", "--grant", GRANT, "--out", out.to_str().unwrap()]);
    let (shown, _) = office.run(&["show"]);
    for text in [page, shown] {
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
    }
}

#[tokio::test]
async fn a_grant_is_named_by_its_unique_beginning() {
    let office = Office::new("disk").await;
    assert_eq!(named(&office.folder(), "3fa8").unwrap().to_string(), GRANT);
    for none in ["3fa", "4fa8"] {
        assert!(named(&office.folder(), none).is_err(), "{none}");
    }
    let whole = "22222222-2222-4222-8222-222222222222";
    assert_eq!(named(&office.folder(), whole).unwrap().to_string(), whole, "the report says what is known");
}

#[tokio::test]
async fn no_receipt_comes_from_a_broken_log_or_for_a_grant_that_never_was() {
    let office = Office::new("disk").await;
    let fails = |grant: &str| {
        let folder = office.folder();
        let out = office.dir.path().join("r.pb");
        report(&folder, &office.config(), grant.parse().unwrap(), &out, Format::Text).is_err()
    };
    assert!(fails("22222222-2222-4222-8222-222222222222"));
    std::fs::remove_file(office.folder().join("head")).unwrap();
    assert!(fails(GRANT));
}
