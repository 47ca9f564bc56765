//! Nothing is told that is not in the audit log, and nothing stays open beside a log that is not the one written.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use tunnel_protos::v1::{ReceivedStatus, RequestState};

use super::{
    approving::pending,
    certificates::granted,
    house::{Disk, HOUR, House, NOW},
};
use crate::{
    approvers::{Peer, Who},
    audit::{Audit, Log, line::Line, read::Lines, segment},
    config::{AuditConfig, Cluster},
    gate::grants::{Life, Over},
    tunnels::Inbox,
};

pub(super) struct Books(TempDir);

impl Books {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn open(&self) -> (Audit, Log) {
        let cluster = Cluster { name: "acme/prod".parse().unwrap(), label: "k3v7aaaaaa".parse().unwrap() };
        Audit::open(AuditConfig::default().settings(self.0.path(), &cluster)).unwrap()
    }

    fn open_held(&self) -> (Audit, Log) {
        let cluster = Cluster { name: "acme/prod".parse().unwrap(), label: "k3v7aaaaaa".parse().unwrap() };
        Audit::open_held(AuditConfig::default().settings(self.0.path(), &cluster)).unwrap()
    }

    /// Somebody changes the last record.
    fn edit(&self) {
        let last = segment::list(&self.0.path().join("audit")).unwrap().pop().unwrap().path;
        let text = fs::read_to_string(&last).unwrap();
        assert!(text.contains("\"stopped\""));
        fs::write(&last, text.replace("\"stopped\"", "\"stepped\"")).unwrap();
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.0.path().join("audit")
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let lines = Lines::open(&self.folder()).unwrap();
        lines.filter_map(|line| Line::parse(&line.unwrap().bytes)).collect()
    }

    fn kinds(&self) -> Vec<String> {
        let what = |line: &Line| [line.kind.as_str(), line.text("subject"), line.text("state")].join(" ");
        self.lines().iter().map(|line| what(line).trim_end().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_request_and_its_certificate_are_recorded_before_they_are_told() {
    let books = Books::new();
    let (audit, log) = books.open();
    let house = House::audited(audit).await;
    let (grant, _) = granted(&house).await;
    log.close().await;
    let expected = [
        "origin",
        "move access approved",
        "moved",
        "certificate",
        "move access active",
        "moved",
        "move certificate done",
        "moved",
        "stopped",
    ];
    assert_eq!(books.kinds(), expected);
    let lines = books.lines();
    assert_eq!(lines[1].text("request"), grant.request.id.to_string());
    assert_eq!(lines[1].fields["asked"]["methods"][0], "e.Admin/Get");
    let doors = house.grant(&grant).unwrap().grant().doors.clone();
    let bytes = fs::read_to_string(&segment::list(&books.0.path().join("audit")).unwrap()[0].path).unwrap();
    assert!(doors.values().all(|door| !bytes.contains(door.as_str())), "doors are digests");
}

#[tokio::test]
async fn what_may_be_stored_is_indeterminate_and_what_is_found_there_is_recorded_as_moved() {
    let books = Books::new();
    let (audit, log) = books.open();
    let house = House::audited(audit).await;
    let asked = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.disk.mute(true);
    assert_eq!(house.deliver(&asked).await, ReceivedStatus::Full);
    house.disk.mute(false);
    assert_eq!(house.deliver(&asked).await, ReceivedStatus::Known);
    assert_eq!(house.state(&asked), RequestState::Approved);
    log.close().await;
    let expected = [
        "origin",
        "move access approved",
        "indeterminate",
        // The second try finds what the first one left.
        "move access approved",
        "moved",
        "move access approved",
        "moved",
        "stopped",
    ];
    assert_eq!(books.kinds(), expected);
    let stored: Vec<_> = books.lines().iter().filter_map(|line| line.fields.get("stored").cloned()).collect();
    assert_eq!(stored, [false, true]);
}

#[tokio::test]
async fn what_ran_out_before_it_was_found_in_the_store_is_never_told_as_granted() {
    let house = House::new().await;
    let asked = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.disk.mute(true);
    assert_eq!(house.deliver(&asked).await, ReceivedStatus::Full);
    house.disk.mute(false);
    house.wall.set(NOW.plus(HOUR));
    let mut outcomes = house.requests.outcome_changes();
    let before = *outcomes.borrow_and_update();
    assert_eq!(house.deliver(&asked).await, ReceivedStatus::Known);
    assert_eq!(house.state(&asked), RequestState::Expired);
    assert_eq!(*outcomes.borrow_and_update(), before + 1, "nothing was told before it");
}

#[tokio::test]
async fn that_somebody_was_told_is_no_move() {
    let books = Books::new();
    let (audit, log) = books.open();
    let house = House::audited(audit).await;
    let asked = pending(&house).await;
    house.requests.notified(asked.request.id, "oncall".into(), NOW).await;
    house.settle().await;
    assert_eq!(house.outcome(&asked).unwrap().notified, [("oncall".to_owned(), NOW)]);
    log.close().await;
    assert_eq!(books.kinds(), ["origin", "move access pending", "moved", "stopped"]);
}

#[tokio::test]
async fn without_an_audit_log_nothing_is_decided_and_what_was_open_can_still_be_closed() {
    let books = Books::new();
    let (audit, log) = books.open();
    let house = House::audited(audit).await;
    let (grant, _) = granted(&house).await;
    log.close().await;
    let refused = house.operator("ann").access(&["e.Admin/Get"], NOW);
    assert_eq!(house.deliver(&refused).await, ReceivedStatus::Full);
    assert!(house.outcome(&refused).is_none());
    let id = grant.request.id.into();
    house.requests.revoke(id, "enough".parse().unwrap(), Who::Peer(Peer { uid: 1000 })).await.unwrap();
    let house = house.restart().await;
    assert_eq!(house.state(&grant), RequestState::Revoked);
}

#[tokio::test]
async fn a_lost_log_voids_all_grants_and_pauses() {
    let books = Books::new();
    let (audit, log) = books.open();
    let house = House::audited(audit).await;
    let (grant, _) = granted(&house).await;
    log.close().await;
    fs::remove_dir_all(books.0.path().join("audit")).unwrap();
    let (audit, log) = books.open();
    let house = house.restart_audited(audit).await;
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
    assert!(house.requests.paused().borrow().is_some(), "until an approver resumes");
    log.close().await;
}

#[tokio::test]
async fn an_edited_log_is_not_forgotten_by_a_start_that_got_nowhere() {
    for broken in [Disk::lose, Disk::fill] {
        let books = Books::new();
        let (audit, log) = books.open();
        let house = House::audited(audit).await;
        let (grant, _) = granted(&house).await;
        log.close().await;
        let (folder, keys, wall) = house.stop().await;
        books.edit();
        let disk = Disk::default();
        broken(&disk);
        let (audit, log) = books.open_held();
        assert!(House::try_start(&folder, &keys, &wall, &disk, audit).await.is_err());
        log.close().await;
        let (audit, _log) = books.open_held();
        let house = House::start_audited(folder, keys, wall, audit).await;
        assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
        assert!(house.requests.paused().borrow().is_some());
    }
}

#[tokio::test]
async fn a_whole_log_voids_nothing() {
    let books = Books::new();
    let (audit, log) = books.open();
    let house = House::audited(audit).await;
    let (grant, _) = granted(&house).await;
    log.close().await;
    let (audit, _log) = books.open();
    let house = house.restart_audited(audit).await;
    assert!(matches!(house.grant(&grant).unwrap().life(), Life::Active { .. }));
}
