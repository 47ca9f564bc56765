//! Several targets behind one client: three members of an etcd cluster, each with a door of its own per grant.

use std::collections::BTreeSet;

use tempfile::TempDir;
use tunnel_integration::{
    etcd::Etcd,
    harness::{
        alert::answer,
        grpcurl::Grpcurl,
        operator::{Operator, Pass, access_at},
        profile::Shipped,
        world::{Plan, World},
    },
};
use tunnel_protos::v1::RequestState;

const MEMBERS: &[&str] = &["pod-1", "pod-2", "pod-3"];
const STATUS: &str = "etcdserverpb.Maintenance/Status";

struct Lab {
    world: World,
    members: Vec<Etcd>,
    _folder: TempDir,
}

impl Lab {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let members = Etcd::start_cluster(folder.path(), MEMBERS).await.unwrap();
        let mut plan = Plan::new().unwrap();
        plan.client.profile = Shipped::Etcd;
        let endpoint = |(name, member): (&&str, &Etcd)| ((*name).to_owned(), member.endpoint());
        plan.client.endpoints = MEMBERS.iter().zip(&members).map(endpoint).collect();
        plan.client.policy = format!("version: 1\naccess:\n  - methods: [{STATUS}]\n    approval: auto\n");
        Self { world: plan.start().await.unwrap(), members, _folder: folder }
    }

    async fn pass(&self, ada: &Operator, targets: &[&str]) -> Pass {
        let submitted = ada.ask(&self.world.cluster(), access_at(targets, &[STATUS]).unwrap()).await.unwrap();
        let decided = |state| state != RequestState::Pending;
        let outcome = ada.outcome(&submitted, |outcome| decided(outcome.state)).await.unwrap();
        assert_eq!(outcome.state, RequestState::Approved, "{outcome:?}");
        ada.certificate(&self.world.cluster(), submitted.request.id.into()).await.unwrap()
    }

    /// The id of the member that answers at a target's door, as etcd itself says.
    async fn member(&self, pass: &Pass, target: &str) -> Result<String, Option<i32>> {
        let flags = pass.at(target).unwrap().grpcurl_flags(self.world.folder()).unwrap();
        let address = self.world.address().to_string();
        let rest = ["-protoset", PROTOSET, "-max-time", "15", "-d", "{}", &address, STATUS];
        let words: Vec<&str> = flags.iter().map(String::as_str).chain(rest).collect();
        let grpcurl = Grpcurl::find().expect("grpcurl is not installed: run `make tools`");
        let ran = grpcurl.run(&words, "").await.unwrap();
        let answered: Option<serde_json::Value> = serde_json::from_str(&ran.stdout).ok();
        answered.map(|status| status["header"]["memberId"].as_str().unwrap().to_owned()).ok_or(ran.code())
    }
}

#[tokio::test]
async fn each_target_of_a_grant_has_a_door_of_its_own() {
    let mut lab = Lab::start().await;
    let ada = lab.world.operator("ada").unwrap();
    let pass = lab.pass(&ada, MEMBERS).await;
    let doors: BTreeSet<_> = pass.doors.iter().map(|(_, door)| door.to_string()).collect();
    assert_eq!(doors.len(), MEMBERS.len());
    let mut members = BTreeSet::new();
    for target in MEMBERS {
        members.insert(lab.member(&pass, target).await.unwrap());
    }
    assert_eq!(members.len(), MEMBERS.len(), "each door leads to another member: {members:?}");
    lab.members[1].kill().await.unwrap();
    assert_eq!(lab.member(&pass, "pod-2").await, Err(Some(UNAVAILABLE)));
    assert!(members.contains(&lab.member(&pass, "pod-3").await.unwrap()), "the others do not mind");
}

#[tokio::test]
async fn a_grant_opens_no_other_target() {
    let lab = Lab::start().await;
    let ada = lab.world.operator("ada").unwrap();
    let (one, three) = (lab.pass(&ada, &["pod-1"]).await, lab.pass(&ada, &["pod-3"]).await);
    assert_eq!(one.doors.len(), 1);
    let foreign = one.peer_as(&three.host, &one.credential).unwrap();
    assert!(answer(&foreign).await.unwrap().is_alert());
}

#[tokio::test]
async fn a_target_that_the_profile_does_not_name_is_refused() {
    let lab = Lab::start().await;
    let ada = lab.world.operator("ada").unwrap();
    let submitted = ada.ask(&lab.world.cluster(), access_at(&["pod-9"], &[STATUS]).unwrap()).await.unwrap();
    let outcome = ada.outcome(&submitted, |_| true).await.unwrap();
    assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
    assert!(outcome.reason.contains("pod-9"), "says which: {}", outcome.reason);
}

const PROTOSET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/etcd.protoset");
const UNAVAILABLE: i32 = 14;
