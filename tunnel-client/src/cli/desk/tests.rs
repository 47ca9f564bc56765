//! The commands as they are typed, over the real socket, with a desk that remembers what it was asked.

mod operations;

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use clap::Parser;
use parking_lot::Mutex;
use tunnel_certs::{
    key::{Algorithm, Signer, SigningKey},
    words::Words,
};
use tunnel_protos::{Digest, RequestId, v1::RequestState};
use tunnel_runtime::drain;

use super::*;
use crate::{
    approvers::{
        self,
        testing::{Asked, Remembering},
    },
    cli::{Cli, Task, console::Person},
    policy,
};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct World {
    desk: Remembering,
    socket: PathBuf,
    key: PathBuf,
    id: RequestId,
    folder: tempfile::TempDir,
    _drain: drain::Drain,
    _server: tokio::task::JoinSet<()>,
}

/// How one command ended and what it said.
struct Ran {
    ended: Result<Exit, Failed>,
    out: String,
    err: String,
}

impl Ran {
    fn exit(&self) -> Exit {
        self.ended.as_ref().map_or_else(Failed::exit, |exit| *exit)
    }
}

const DIGEST: Digest = Digest::new([7; 32]);

fn view(id: RequestId, state: RequestState) -> api::RequestView {
    api::RequestView {
        id: id.to_string(),
        words: Words::of(&DIGEST).to_string(),
        digest: DIGEST.as_bytes().to_vec(),
        operator: "ann".into(),
        state: state.into(),
        ..Default::default()
    }
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let (socket, key) = (folder.path().join("run/a.sock"), folder.path().join("bob.key"));
    let (signal, watch) = drain::channel();
    let (desk, id) = (Remembering::default(), RequestId::random());
    let signing = SigningKey::generate(Algorithm::Ed25519).unwrap();
    signing.save(&key).unwrap();
    let bob = policy::Approver { key: Some(signing.public().clone()), uid: None };
    let mut memory = desk.0.lock();
    memory.approvers = [("bob".parse().unwrap(), bob)].into_iter().collect();
    memory.views.push(view(id, RequestState::Pending));
    memory.status.label = approvers::Desk::label(&desk.clone()).to_string();
    memory.real_time = true;
    drop(memory);
    let mut server = tokio::task::JoinSet::new();
    server.spawn(approvers::serve(approvers::bind(&socket).unwrap(), desk.clone(), desk.offices(), watch));
    World { desk, socket, key, id, folder, _drain: signal, _server: server }
}

impl World {
    /// Runs a command line; `ID`, `WORDS` and `KEY` stand for this world's own.
    async fn run(&self, line: &str, person: Person, input: &'static str) -> Ran {
        let words = Words::of(&DIGEST).to_string();
        let own = |word: &str| match word {
            "ID" => self.id.to_string(),
            "WORDS" => words.clone(),
            "KEY" => self.key.display().to_string(),
            word => word.to_owned(),
        };
        let typed = std::iter::once("tunnel-client".to_owned()).chain(line.split(' ').map(own));
        let socket = ["--socket".to_owned(), self.socket.display().to_string()];
        let Task::Ask(ask) = Cli::try_parse_from(typed.chain(socket)).unwrap().into_task() else {
            panic!("a command to the daemon")
        };
        let (out, err) = (Captured::default(), Captured::default());
        let mut console = Console::of(out.clone(), err.clone(), input, person, Format::Text);
        let ended = ask.run(&mut console).await;
        Ran { ended, out: out.text(), err: err.text() }
    }

    async fn script(&self, line: &str) -> Ran {
        self.run(line, Person::Absent, "").await
    }
}

#[tokio::test]
async fn a_person_sees_the_request_and_signs_what_was_shown() {
    let world = world();
    let ran = world.run("approve ID --key KEY --note fine", Person::Present, "y\n").await;
    assert_eq!(ran.exit(), Exit::Waiting, "{:?}", ran.ended);
    assert!(ran.err.contains(&Words::of(&DIGEST).to_string()) && ran.err.contains("[y/N]"), "{}", ran.err);
    let [Asked::Approve(id, digest, None, note, by)] = &world.desk.asked()[..] else { panic!("one yes") };
    assert_eq!((*id, *digest, note.as_str(), by.name().as_str()), (world.id, DIGEST, "fine", "bob"));
}

#[tokio::test]
async fn whoever_does_not_say_yes_approves_nothing() {
    let world = world();
    for input in ["\n", "n\n", "", "maybe\n"] {
        let ran = world.run("approve ID --key KEY", Person::Present, input).await;
        assert!(matches!(ran.ended, Err(Failed::Declined)), "{input:?}");
    }
    assert_eq!(world.desk.asked(), []);
}

#[tokio::test]
async fn a_script_must_say_what_it_was_shown() {
    let world = world();
    assert_eq!(world.script("approve ID --key KEY").await.exit(), Exit::Usage, "nobody can be asked");
    assert!(Cli::try_parse_from(["tunnel-client", "approve", "x", "--yes"]).is_err(), "blindly");
    let zeros = format!("approve ID --key KEY --yes --digest {}", "00".repeat(32));
    assert_eq!(world.script(&zeros).await.exit(), Exit::Usage, "another request");
    assert_eq!(world.desk.asked(), []);
    let right = format!("approve ID --key KEY --yes --digest {DIGEST}");
    assert_eq!(world.script(&right).await.exit(), Exit::Waiting);
    assert_eq!(world.script("approve ID --key KEY --yes --words WORDS").await.exit(), Exit::Waiting);
    assert_eq!(world.desk.asked().len(), 2);
}

#[tokio::test]
async fn a_key_comes_by_standard_input_with_its_name() {
    let world = world();
    let pem: &'static str = std::fs::read_to_string(&world.key).unwrap().leak();
    let line = "approve ID --key - --as bob --yes --words WORDS";
    assert_eq!(world.run(line, Person::Absent, pem).await.exit(), Exit::Waiting);
    let nameless = world.run("approve ID --key - --yes --words WORDS", Person::Absent, pem).await;
    assert_eq!(nameless.exit(), Exit::Usage);
    assert_eq!(world.desk.asked().len(), 1);
}

#[tokio::test]
async fn a_key_that_others_can_read_does_not_sign() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    std::fs::set_permissions(&world.key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let ran = world.script("approve ID --key KEY --yes --words WORDS").await;
    assert!(matches!(ran.ended, Err(Failed::Key(_))), "{:?}", ran.ended);
    assert_eq!(world.desk.asked(), []);
}

#[tokio::test]
async fn without_a_key_this_user_is_told_what_to_do() {
    let world = world();
    let ran = world.script("approve ID --yes --words WORDS").await;
    assert_eq!(ran.exit(), Exit::Denied);
    assert!(ran.ended.unwrap_err().to_string().contains("--key FILE"));
    let ran = world.script("deny ID --yes --note no").await;
    assert_eq!((ran.exit(), ran.out.contains("Denied")), (Exit::Ok, true), "anyone may say no");
}

#[tokio::test]
async fn a_request_that_is_over_says_so_by_its_exit_code() {
    let world = world();
    for (state, exit) in [
        (RequestState::Denied, Exit::Denied),
        (RequestState::Revoked, Exit::Denied),
        (RequestState::Expired, Exit::Expired),
        (RequestState::Active, Exit::Failed),
    ] {
        world.desk.0.lock().views = vec![view(world.id, state)];
        assert_eq!(world.script("approve ID --yes --words WORDS").await.exit(), exit, "{state:?}");
    }
}

#[tokio::test]
async fn pauses_and_operators_are_ended_by_a_signature() {
    let world = world();
    assert_eq!(world.script("pause --note fire").await.exit(), Exit::Ok);
    assert_eq!(world.script("resume --key KEY").await.exit(), Exit::Usage, "a script says which pause");
    let ran = world.run("resume --key KEY", Person::Present, "y\n").await;
    assert!(ran.out.contains("Resumed by bob"), "{} {:?}", ran.err, ran.ended);
    assert_eq!(world.script("operators deny mallory").await.exit(), Exit::Ok);
    let listed = api::OperatorView { operator: "mallory".into(), denied_since_ms: 5, ..Default::default() };
    world.desk.0.lock().operators.push(listed);
    assert!(world.script("operators").await.out.contains("mallory"));
    assert!(world.script("operators allow mallory --key KEY").await.out.contains("by bob"));
    assert!(world.script("clock reset --key KEY").await.out.contains("highest time seen"));
    assert_eq!(world.desk.asked().len(), 5);
}

#[tokio::test]
async fn who_denies_an_operator_that_never_asked_is_told_so() {
    let world = world();
    let mallory = |last_asked_ms| api::OperatorView {
        operator: "mallory".into(),
        denied_since_ms: 5,
        last_asked_ms,
        ..Default::default()
    };
    for (known, told) in [(vec![], true), (vec![mallory(0)], true), (vec![mallory(3)], false)] {
        world.desk.0.lock().operators = known;
        let ran = world.script("operators deny mallory").await;
        assert_eq!(ran.exit(), Exit::Ok);
        assert_eq!(ran.err.contains("No operator of this name has asked here"), told, "{}", ran.err);
        let json = world.script("operators deny mallory --output json").await.out;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["hasAsked"], !told);
    }
    assert_eq!(world.desk.asked().len(), 6, "denied all the same");
}

#[tokio::test]
async fn json_output_is_one_document_without_tricks() {
    let world = world();
    world.desk.0.lock().views[0].operator = "a\u{202e}\u{1b}[2J".into();
    for line in ["requests", "show ID", "status", "operators", "pause", "deny ID --yes"] {
        let ran = world.script(&format!("{line} --output json")).await;
        assert!(serde_json::from_str::<serde_json::Value>(&ran.out).is_ok(), "{line}: {}", ran.out);
        assert!(!ran.out.contains('\u{202e}') && !ran.out.contains('\u{1b}'), "{line}");
    }
}

#[tokio::test]
async fn nobody_there_says_so() {
    let mut world = world();
    world.socket = world.folder.path().join("none.sock");
    let ran = world.script("status").await;
    assert!(matches!(ran.ended, Err(Failed::Unreachable { .. })));
    assert_eq!(ran.exit(), Exit::Failed);
}

#[tokio::test]
async fn the_words_of_an_entry_are_typed_and_signed_but_never_shown() {
    let world = world();
    let entry = Digest::new([9; 32]);
    world.desk.0.lock().enrollment = api::EnrollmentView {
        state: api::EnrollmentState::EntryWaits.into(),
        entry_waits: true,
        waiting_entry_digest: entry.as_bytes().to_vec(),
        next: "Have the words read out".into(),
        ..Default::default()
    };
    let words = Words::of(&entry).to_string();
    for command in ["enroll", "enroll status", "enroll status --output json"] {
        let ran = world.script(command).await;
        assert_eq!(ran.exit(), Exit::Waiting, "{command}: {:?}", ran.ended);
        assert!(ran.out.contains("Have the words read out"), "{}", ran.out);
        let hex = data_encoding::HEXLOWER.encode(entry.as_bytes());
        assert!(!ran.out.contains(&words) && !ran.out.contains(&hex), "{}", ran.out);
    }
    let other = Words::of(&DIGEST).to_string();
    let ran = world.script(&format!("enroll confirm {other} --key KEY")).await;
    assert_eq!((ran.exit(), world.desk.asked().len()), (Exit::Usage, 0), "{:?}", ran.ended);
    assert!(!ran.err.contains(&words));
    let ran = world.script("enroll confirm one two").await;
    assert_eq!(ran.exit(), Exit::Usage, "{:?}", ran.ended);
    let ran = world.script(&format!("enroll confirm {words} --key KEY --note heard")).await;
    assert_eq!(ran.exit(), Exit::Ok, "{:?}", ran.ended);
    let [Asked::Confirm(confirmed, _, note, by)] = &world.desk.asked()[..] else { panic!("one word") };
    assert_eq!((*confirmed, note.as_str(), by.name().as_str()), (entry, "heard", "bob"));
}

#[tokio::test]
async fn keys_are_rotated_by_a_command() {
    let world = world();
    let ran = world.script("keys rotate").await;
    assert_eq!(ran.exit(), Exit::Waiting, "{:?}", ran.ended);
    assert!(matches!(world.desk.asked()[..], [Asked::RotateKeys(_)]));
}
