//! What of a call is in the audit log, and what happens without one.

use tempfile::TempDir;

use super::*;
use crate::{
    audit::{Log, line::Line, read::Lines},
    config::{AuditConfig, Cluster},
};

fn open(folder: &TempDir) -> (Audit, Log) {
    let cluster = Cluster { name: "acme/prod".parse().unwrap(), label: "k3v7aaaaaa".parse().unwrap() };
    Audit::open(AuditConfig::default().settings(folder.path(), &cluster)).unwrap()
}

fn lines(folder: &TempDir) -> Vec<Line> {
    let lines = Lines::open(&folder.path().join("audit")).unwrap();
    lines.filter_map(|line| Line::parse(&line.unwrap().bytes)).collect()
}

#[tokio::test]
async fn a_mutating_call_that_cannot_be_recorded_never_reaches_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, log) = open(&folder);
    log.close().await;
    let mut bench = bench_with(Options { audit, ..Options::default() }).await;
    let reply = bench.operator.call("Put").await;
    assert_eq!((reply.status.code(), reply.reason().as_str()), (Code::Unavailable, "AUDIT_UNWRITABLE"));
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok, "reading does not depend on a disk");
    assert_eq!(bench.engine.seen().calls, 1);
}

#[tokio::test]
async fn a_mutating_call_is_on_disk_before_the_engine_answers_and_its_end_follows() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, log) = open(&folder);
    let mut bench = bench_with(Options { audit, ..Options::default() }).await;
    let begun = bench.operator.begin(Operator::request("Hang"), true).await;
    bench.engine.until(|seen| seen.calls == 1).await;
    assert_eq!(lines(&folder).last().map(|line| line.kind.clone()), Some("call".to_owned()));
    drop(begun);
    bench.operator.call("Get").await;
    bench.session.abort();
    bench.engine.until(|seen| !seen.resets.is_empty()).await;
    let _ = bench.session.await;
    log.close().await;
    let mut kinds: Vec<_> = lines(&folder).into_iter().map(|line| line.kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["call", "callEnded", "origin", "read", "stopped"]);
}
