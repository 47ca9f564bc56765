//! What the books must not be able to hide.

use std::{fs, iter};

use serde_json::{Value, json};
use tunnel_client::audit::{
    line::{Chain, LineHash},
    verify::{Wrong, verify},
};
use tunnel_protos::{GrantId, RequestId, UnixMillis};

use super::*;
use crate::{harness::approver_key, torture::calls::Method};

/// A log as the client writes it.
struct Written {
    chain: Chain,
    bytes: Vec<u8>,
}

impl Written {
    fn new(records: &[Value]) -> Self {
        let mut written = Self { chain: Chain::START, bytes: Vec::new() };
        records.iter().for_each(|record| written.add(record));
        written
    }

    fn add(&mut self, record: &Value) {
        self.chain.append(&mut self.bytes, UnixMillis(0), record).unwrap();
    }
}

fn read(records: &[Value]) -> Result<Index> {
    let mut index = Index::default();
    let bytes = Written::new(records).bytes;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.into_iter().try_for_each(|line| index.take(&line[..line.len() - 1]))?;
    Ok(index)
}

fn refused(records: &[Value]) -> String {
    format!("{:#}", read(records).err().unwrap())
}

fn to(request: RequestId, state: &str) -> Value {
    json!({ "kind": "move", "request": request.to_string(), "state": state })
}

fn stored(of: u64) -> Value {
    json!({ "kind": "moved", "of": of, "stored": true })
}

fn ended(of: u64, kind: &str) -> Value {
    json!({ "kind": kind, "of": of, "status": 14 })
}

fn call(grant: GrantId) -> Value {
    json!({ "kind": "call", "grant": grant.to_string(), "method": "engine.kv.v1.KV/Put" })
}

fn certificate(grant: GrantId, serial: &str, door: &str) -> Value {
    let doors = json!([{ "target": "default", "sha256": door }]);
    json!({ "kind": "certificate", "request": grant.to_string(), "grant": grant.to_string(),
            "serial": serial, "doors": doors })
}

fn grant() -> GrantId {
    RequestId::random().into()
}

#[test]
fn a_step_that_ends_twice_or_never_is_noticed() {
    let step = json!({ "kind": "step", "request": RequestId::random().to_string() });
    let done = json!({ "kind": "stepEnded", "of": 1, "done": true });
    assert_eq!(read(std::slice::from_ref(&step)).unwrap().open(), Some(1));
    assert_eq!(read(&[step.clone(), done.clone()]).unwrap().open(), None);
    assert!(refused(&[step, done.clone(), done]).contains("twice"));
}

fn puts(grant: GrantId, count: usize) -> Counts {
    iter::once(((grant, Method::Put), count)).collect()
}

#[test]
fn an_acknowledged_move_is_missed() {
    let id = RequestId::random();
    let fact = Fact::Moved(id, "approved");
    assert!(read(&[to(id, "approved"), stored(1)]).unwrap().has(&fact));
    assert!(read(&[to(id, "approved"), ended(1, "indeterminate")]).unwrap().has(&fact));
    let not_stored = json!({ "kind": "moved", "of": 1, "stored": false });
    assert!(
        !read(&[to(id, "approved"), not_stored]).unwrap().has(&fact),
        "what was not stored, nobody was told"
    );
    assert!(!read(&[to(id, "pending"), stored(1)]).unwrap().has(&fact));
    assert!(read(&[]).unwrap().has_all(&[fact]).is_err());
}

#[test]
fn an_acknowledged_answer_or_certificate_is_missed() {
    let id = RequestId::random();
    let mut answer = json!({ "kind": "answer", "request": id.to_string(), "yes": false, "by": approver_key::NAME,
                             "approval": "c2lnbmVk" });
    let index = read(&[answer.clone()]).unwrap();
    assert!(index.has(&Fact::Answered(id, false)) && !index.has(&Fact::Answered(id, true)));
    answer["approval"] = json!("");
    assert!(!read(&[answer]).unwrap().has(&Fact::Answered(id, false)), "nobody signed it");
    let index = read(&[certificate(id.into(), "0a", "door")]).unwrap();
    assert!(index.has(&Fact::Certified(id, "0a".to_owned())));
    assert!(!index.has(&Fact::Certified(id, "0b".to_owned())));
    assert!(!index.has(&Fact::Certified(RequestId::random(), "0a".to_owned())), "made for another request");
}

#[test]
fn a_call_that_reached_the_engine_without_an_intent_is_found() {
    let grant = grant();
    let index = read(&[call(grant), ended(1, "indeterminate")]).unwrap();
    assert!(index.has_intents(&puts(grant, 1)).is_ok());
    assert!(index.has_intents(&puts(grant, 2)).is_err());
    assert!(index.has_intents(&puts(super::tests::grant(), 1)).is_err(), "an intent under another grant");
}

#[test]
fn an_answered_call_that_the_log_says_failed_is_found() {
    let grant = grant();
    assert!(read(&[call(grant)]).unwrap().has_calls(&puts(grant, 1)).is_ok());
    assert!(read(&[call(grant), ended(1, "callEnded")]).unwrap().has_calls(&puts(grant, 1)).is_err());
    assert!(read(&[call(grant), ended(1, "abandoned")]).unwrap().has_calls(&puts(grant, 1)).is_err());
}

#[test]
fn an_intent_that_a_restart_left_open_is_found() {
    let started = json!({ "kind": "started" });
    assert!(read(&[call(grant()), ended(1, "indeterminate"), started.clone()]).is_ok());
    assert!(refused(&[call(grant()), started]).contains("no outcome"));
    assert!(refused(&[call(grant()), ended(1, "abandoned"), ended(1, "abandoned")]).contains("twice"));
    assert!(refused(&[ended(7, "indeterminate")]).contains("no intent"));
}

#[test]
fn grants_serials_and_doors_are_there_once() {
    let (id, a, b) = (RequestId::random(), grant(), grant());
    assert!(refused(&[to(id, "approved"), stored(1), to(id, "approved")]).contains("granted twice"));
    assert!(read(&[to(id, "approved"), ended(1, "indeterminate"), to(id, "approved")]).is_ok());
    assert!(refused(&[to(id, "revoked"), stored(1), to(id, "active")]).contains("after it was revoked"));
    assert!(refused(&[certificate(a, "0a", "x"), certificate(b, "0a", "y")]).contains("serial"));
    assert!(refused(&[certificate(a, "0a", "x"), certificate(b, "0b", "x")]).contains("one door"));
    assert!(refused(&[certificate(a, "0a", "x"), certificate(a, "0b", "y")]).contains("two doors"));
}

#[test]
fn a_log_that_changed_behind_what_was_read_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{:020}.jsonl", 1));
    let (first, other) = (call(grant()), call(grant()));
    let mut written = Written::new(std::slice::from_ref(&first));
    fs::write(&file, &written.bytes).unwrap();
    let mut log = Log::new(folder.path().to_owned());
    log.read().unwrap();
    written.add(&other);
    fs::write(&file, &written.bytes[..written.bytes.len() - 3]).unwrap();
    log.read().unwrap();
    assert_eq!(log.index.records(), 1, "a line that is not whole");
    fs::write(&file, &written.bytes).unwrap();
    log.read().unwrap();
    assert_eq!(log.index.records(), 2);
    fs::write(&file, Written::new(&[other, first, call(grant())]).bytes).unwrap();
    assert!(log.read().is_err());
}

#[test]
fn a_copy_without_its_last_record_is_found() {
    let (folder, grant) = (tempfile::tempdir().unwrap(), grant());
    let file = folder.path().join(format!("{:020}.jsonl", 1));
    let written = Written::new(&[json!({ "kind": "started" }), call(grant)]);
    let head = |hash: LineHash| format!("{:020} {hash}\n", 2);
    fs::write(folder.path().join("head"), head(written.chain.prev)).unwrap();
    fs::write(&file, &written.bytes).unwrap();
    verify(folder.path()).unwrap();
    let last = written.bytes.len() - written.bytes.split(|byte| *byte == b'\n').nth(1).unwrap().len() - 1;
    fs::write(&file, &written.bytes[..last]).unwrap();
    let broken = verify(folder.path()).unwrap_err().to_string();
    assert!(broken.contains(&Wrong::Removed(2).to_string()), "{broken}");
    let mut log = Log::new(folder.path().to_owned());
    log.read().unwrap();
    assert!(log.index.has_intents(&puts(grant, 1)).is_err());
}
