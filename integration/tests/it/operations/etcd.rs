//! A real etcd cluster of three under a client that writes all the while: maintained member by member, and no
//! acknowledged write is lost.

use tempfile::TempDir;
use tunnel_certs::statement::request::operation::{RunTask, What};
use tunnel_integration::{
    etcd::{supervised::Supervised, writer::Writer},
    harness::{
        PATIENCE,
        operation::{debug, on_approval, restart, steps, task},
        profile::Shipped,
        wait::until,
    },
};
use tunnel_protos::{operations::v1::StepState, v1::RequestState};

use super::{Lab, POLICY, sentence};

const NAMES: [&str; 3] = ["one", "two", "three"];

/// Three members, each with its supervisor, and one client that knows them all.
struct Cluster {
    members: Vec<Supervised>,
    lab: Lab,
    _folder: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        Self::with(Shipped::SupervisedEtcd).await
    }

    async fn with(profile: Shipped) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let members = Supervised::start_cluster(folder.path(), &NAMES).await.unwrap();
        let (mut plan, key, keys) = Lab::plan().await;
        let pair = |url: fn(&Supervised) -> String| {
            move |member: &Supervised| (member.name().to_owned(), url(member))
        };
        plan.client.endpoints = members.iter().map(pair(Supervised::endpoint)).collect();
        plan.client.companions = members.iter().map(pair(Supervised::companion)).collect();
        plan.client.profile = profile;
        // Each of them by a person.
        plan.client.policy = key.policy(&POLICY.replace("restart: auto", "restart: manual"));
        Self { members, lab: Lab::of(plan.start().await.unwrap(), key, keys), _folder: folder }
    }

    fn writer(&self) -> Writer {
        let endpoints: Vec<_> = self.members.iter().map(Supervised::endpoint).collect();
        Writer::start(&endpoints).unwrap()
    }

    fn starts(&self) -> Vec<usize> {
        self.members.iter().map(Supervised::starts).collect()
    }

    /// Runs to its good end, one step per member and the gate after each.
    async fn maintain(&self, what: What) {
        let (submitted, outcome) = self.lab.run(what).await;
        assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
        let operation = self.lab.operation(&submitted).await;
        assert_eq!(steps(&operation), [StepState::Done; 3], "{operation:?}");
        let gone = ["step 1", "gate 1 held", "step 2", "gate 2 held", "step 3", "gate 3 held"];
        assert_eq!(self.lab.walked(&submitted), gone);
    }

    /// Begins at all members, and loses another one while the gate after the first is watched; which was the first.
    async fn lose_one_on_the_way(&mut self, what: What) -> String {
        let submitted = self.lab.ask(on_approval(what)).await;
        let view = self.lab.planned(&submitted).await;
        let first = view.running.as_ref().unwrap().plan.as_ref().unwrap().steps[0].object.clone();
        let other = self.members.iter().position(|member| member.name() != first).unwrap();
        self.lab.approve(&submitted, &view).await.unwrap();
        self.lab
            .view(&submitted, "the first gate is watched", |view| {
                let first = view.running.as_ref().and_then(|running| running.steps.first());
                first.is_some_and(|step| step.state() == StepState::Soaking)
            })
            .await;
        let lost = self.members.remove(other).name().to_owned();
        let (outcome, why) = self.lab.over_for_both(&submitted).await;
        assert_eq!(outcome.state, RequestState::Failed, "{outcome:?}");
        sentence(&why, &["Not well within 8s", &lost]);
        let left = [StepState::Failed, StepState::Skipped, StepState::Skipped];
        assert_eq!(steps(&self.lab.operation(&submitted).await), left);
        assert_eq!(self.lab.walked(&submitted), ["step 1", "gate 1 did not hold"]);
        first
    }
}

fn defragment() -> RunTask {
    RunTask { task: "defragment".parse().unwrap(), targets: Vec::new(), arguments: Vec::new() }
}

async fn more(writer: &Writer, than: u64) {
    until("writes go on", PATIENCE, || async {
        let acknowledged = writer.acknowledged();
        if acknowledged > than { Ok(()) } else { Err(acknowledged) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn members_are_maintained_one_by_one_and_no_acknowledged_write_is_lost() {
    let cluster = Cluster::start().await;
    let writer = cluster.writer();
    more(&writer, 0).await;
    cluster.maintain(task("defragment", &[]).unwrap()).await;
    let before = writer.acknowledged();
    assert_eq!(cluster.starts(), [1, 1, 1]);
    cluster.maintain(restart("etcd", &[], 3).unwrap()).await;
    assert_eq!(cluster.starts(), [2, 2, 2]);
    more(&writer, before).await;
    let written = writer.stop().await.unwrap();
    println!("{written} acknowledged writes, none lost");
}

#[tokio::test]
async fn a_member_that_is_lost_on_the_way_stops_a_defragmentation() {
    let mut cluster = Cluster::with(Shipped::SlowEtcd).await;
    cluster.lose_one_on_the_way(task("defragment", &[]).unwrap()).await;
}

#[tokio::test]
async fn a_member_that_is_lost_on_the_way_stops_a_restart() {
    let mut cluster = Cluster::with(Shipped::SlowEtcd).await;
    let first = cluster.lose_one_on_the_way(restart("etcd", &[], 3).unwrap()).await;
    for member in &cluster.members {
        let starts = if member.name() == first { 2 } else { 1 };
        assert_eq!(member.starts(), starts, "{}", member.name());
    }
}

#[tokio::test]
async fn a_member_that_is_away_before_is_gone_to_first_and_stops_it() {
    let mut cluster = Cluster::start().await;
    cluster.members.pop();
    let one = RunTask { targets: vec!["one".parse().unwrap()], ..defragment() };
    let (submitted, outcome) = cluster.lab.run(What::RunTask(one)).await;
    assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
    sentence(&cluster.lab.over_for_both(&submitted).await.1, &["three", "not ready"]);
    let (submitted, outcome) = cluster.lab.run(What::RunTask(defragment())).await;
    assert_eq!(outcome.state, RequestState::Failed, "{outcome:?}");
    let operation = cluster.lab.operation(&submitted).await;
    assert_eq!(steps(&operation), [StepState::Failed, StepState::Skipped, StepState::Skipped]);
    assert_eq!(operation.plan.unwrap().affected[0], "three");
}

#[tokio::test]
async fn one_member_is_restarted_by_its_name_alone() {
    let cluster = Cluster::start().await;
    let (_, outcome) = cluster.lab.run(restart("etcd", &["two"], 3).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    assert_eq!(cluster.starts(), [1, 2, 1]);
}

#[tokio::test]
async fn a_cluster_of_another_size_than_expected_is_left_alone() {
    let cluster = Cluster::start().await;
    let (submitted, outcome) = cluster.lab.run(restart("etcd", &[], 5).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
    sentence(&outcome.reason, &["etcd", "not as expected"]);
    sentence(&cluster.lab.over_for_both(&submitted).await.1, &["etcd", "5", "3"]);
    assert_eq!(cluster.starts(), [1, 1, 1]);
}

#[tokio::test]
async fn a_bundle_tells_of_each_member() {
    let cluster = Cluster::start().await;
    let (submitted, outcome) = cluster.lab.run(debug(&["status", "alarms"]).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    let held = cluster.lab.operation(&submitted).await.bundle.expect("a bundle");
    let told = (held.files.len(), held.digest.len(), held.bytes);
    assert_eq!(told, (0, 0, 0), "what is held tells its operator nothing: {held:?}");
    cluster.lab.release_bundle(&submitted).await.unwrap();
    let bundle = cluster.lab.operation(&submitted).await.bundle.expect("a bundle");
    for name in NAMES {
        assert!(bundle.files.iter().any(|file| file.path.contains(name)), "{name}: {bundle:?}");
    }
}
