//! A real etcd cluster of three under a client that writes all the while: maintained member by member, and no
//! acknowledged write is lost.

use tempfile::TempDir;
use tunnel_certs::statement::request::operation::What;
use tunnel_integration::{
    etcd::{supervised::Supervised, writer::Writer},
    harness::{
        PATIENCE,
        operation::{debug, restart, steps, task},
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
        let folder = tempfile::tempdir().unwrap();
        let members = Supervised::start_cluster(folder.path(), &NAMES).await.unwrap();
        let (mut plan, key, keys) = Lab::plan().await;
        let pair = |url: fn(&Supervised) -> String| {
            move |member: &Supervised| (member.name().to_owned(), url(member))
        };
        plan.client.endpoints = members.iter().map(pair(Supervised::endpoint)).collect();
        plan.client.companions = members.iter().map(pair(Supervised::companion)).collect();
        plan.client.profile = Shipped::SupervisedEtcd;
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

    /// Runs to its good end, one step per member.
    async fn maintain(&self, what: What) {
        let (submitted, outcome) = self.lab.run(what).await;
        assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
        let operation = self.lab.operation(&submitted).await;
        assert_eq!(steps(&operation), [StepState::Done; 3], "{operation:?}");
    }
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
