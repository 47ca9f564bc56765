//! Operations are approved with their plan, stopped, and their bundles looked at before they leave.

use prost::Message;
use tunnel_certs::crypto;
use tunnel_protos::{
    operations::v1::{Bundle, BundleFile, Change, Operation, Plan},
    v1::{OperationRequest, Scale, operation_request},
};

use super::*;

fn plan(replicas: &str) -> Plan {
    let change =
        Change { object: "storage".into(), field: "replicas".into(), old: "3".into(), new: replicas.into() };
    Plan { title: "Scale storage".into(), diff: vec![change], ..Plan::default() }
}

fn digest(plan: &Plan) -> Digest {
    Digest::new(crypto::sha256(&plan.encode_to_vec()))
}

/// A world whose request asks for an operation with this plan.
fn planned(plan: Option<&Plan>) -> World {
    let world = world();
    let scale = Scale { component: "storage".into(), expected_replicas: 3, replicas: 5, ..Scale::default() };
    {
        let mut memory = world.desk.0.lock();
        let view = &mut memory.views[0];
        view.kind = "operation".into();
        view.operation = Some(OperationRequest {
            kind: Some(operation_request::Kind::Scale(scale)),
            ..OperationRequest::default()
        });
        view.running = Some(Operation {
            plan: plan.cloned(),
            plan_digest: plan.map(|plan| digest(plan).as_bytes().to_vec()).unwrap_or_default(),
            ..Operation::default()
        });
    }
    world
}

fn approved(world: &World) -> Vec<Option<Digest>> {
    let plan = |asked: Asked| match asked {
        Asked::Approve(_, _, plan, ..) => plan,
        other => panic!("{other:?}"),
    };
    world.desk.asked().into_iter().map(plan).collect()
}

#[tokio::test]
async fn a_person_approves_the_plan_that_was_shown() {
    let plan = plan("5");
    let world = planned(Some(&plan));
    let ran = world.run("approve ID --key KEY", Person::Present, "y\n").await;
    assert_eq!(ran.exit(), Exit::Waiting, "{:?}", ran.ended);
    assert!(ran.err.contains("- replicas: 3\n") && ran.err.contains("+ replicas: 5\n"), "{}", ran.err);
    assert_eq!(approved(&world), [Some(digest(&plan))]);
}

#[tokio::test]
async fn a_script_names_the_plan_that_it_was_shown() {
    let plan = plan("5");
    let world = planned(Some(&plan));
    let hex = digest(&plan).to_string();
    let blind = world.script("approve ID --key KEY --yes --words WORDS").await;
    assert_eq!(blind.exit(), Exit::Usage);
    let other = digest(&self::plan("500")).to_string();
    let changed = world.script(&format!("approve ID --key KEY --yes --words WORDS --plan {other}")).await;
    assert_eq!(changed.exit(), Exit::Usage);
    assert!(changed.err.contains("+ replicas: 5\n"), "shows what it is now: {}", changed.err);
    assert!(
        Cli::try_parse_from(["tunnel-client", "approve", "x", "--plan", &hex[..15]]).is_err(),
        "too short"
    );
    assert_eq!(approved(&world), []);
    let shown = world.script("show ID").await.out;
    // The daemon is this very user, who can be no approver.
    assert!(shown.contains(&format!("--plan {} --key NAME.key\n", &hex[..16])), "{shown}");
    let right =
        world.script(&format!("approve ID --key KEY --yes --words WORDS --plan {}", &hex[..16])).await;
    assert_eq!(right.exit(), Exit::Waiting, "{:?}", right.ended);
    assert_eq!(approved(&world), [Some(digest(&plan))]);
}

#[tokio::test]
async fn what_this_program_cannot_show_is_not_approved() {
    let world = planned(Some(&plan("5")));
    world.desk.0.lock().views[0].running.as_mut().unwrap().plan_digest = vec![7; 32];
    let ran = world.run("approve ID --key KEY", Person::Present, "y\n").await;
    assert!(matches!(ran.ended, Err(Failed::Damaged)), "{:?}", ran.ended);
    assert_eq!(approved(&world), []);
}

#[tokio::test]
async fn without_a_plan_there_is_nothing_to_approve_yet() {
    let world = planned(None);
    let ran = world.run("approve ID --key KEY", Person::Present, "y\n").await;
    assert_eq!(ran.exit(), Exit::Usage, "{:?}", ran.ended);
    assert!(world.script("show ID").await.out.contains("It is being made"));
    assert_eq!(world.script("deny ID --yes").await.exit(), Exit::Ok, "a no needs none");
}

#[tokio::test]
async fn a_plan_that_will_not_come_is_not_promised() {
    let world = planned(None);
    world.desk.0.lock().views[0].state = RequestState::Denied.into();
    let shown = world.script("show ID").await.out;
    assert!(shown.contains("None was made.") && !shown.contains("being made"), "{shown}");
    world.desk.0.lock().views[0].running.as_mut().unwrap().plan_digest = vec![0xab; 32];
    let shown = world.script("show ID").await.out;
    assert!(shown.contains("no longer kept") && shown.contains(&"ab".repeat(32)), "{shown}");
}

#[tokio::test]
async fn one_that_runs_is_stopped_with_a_note() {
    let world = planned(Some(&plan("5")));
    let ran = world.script("cancel ID --note odd").await;
    assert_eq!(ran.exit(), Exit::Ok, "{:?}", ran.ended);
    assert!(
        matches!(&world.desk.asked()[..], [Asked::CancelOperation(id, note, _)] if *id == world.id && note == "odd")
    );
}

const STATUS: &[u8] = b"{\"ok\":true}";

/// A world with a bundle of one file.
fn collected(file: &[u8]) -> World {
    let world = planned(Some(&plan("5")));
    let file = BundleFile {
        path: "status.json".into(),
        bytes: file.len().try_into().unwrap(),
        digest: crypto::sha256(file).to_vec(),
        collector: "status".into(),
    };
    let bundle = Bundle { digest: vec![9; 32], bytes: 500, files: vec![file], ..Bundle::default() };
    let view = api::BundleView {
        id: world.id.to_string(),
        operator: "ann".into(),
        made_ms: 1000,
        bundle: Some(bundle),
    };
    world.desk.0.lock().bundles.push(view);
    world
}

#[tokio::test]
async fn a_bundle_is_listed_and_read_exactly_as_it_would_leave() {
    let world = collected(STATUS);
    let list = world.script("bundle list").await;
    assert!(list.out.contains("ann") && list.out.contains("500 B"), "{}", list.out);
    let files = world.script("bundle list ID").await;
    assert!(files.out.contains("status.json") && files.out.contains(&"09".repeat(32)), "{}", files.out);
    let read = world.script("bundle read ID status.json").await;
    assert_eq!(read.out.as_bytes(), STATUS, "{:?}", read.ended);
    assert_eq!(world.script("bundle read ID other.json").await.exit(), Exit::Usage);
}

#[tokio::test]
async fn a_file_that_is_not_what_the_list_says_is_not_shown() {
    for listed in [&b"{\"ok\":true} "[..], b"{\"ok\":fals}", b"{}"] {
        let world = collected(listed);
        let read = world.script("bundle read ID status.json").await;
        assert!(matches!(read.ended, Err(Failed::Damaged)), "{:?}", read.ended);
        assert_eq!(read.out, "");
    }
}

#[tokio::test]
async fn a_bundle_leaves_by_the_digest_that_was_shown() {
    let world = collected(STATUS);
    assert_eq!(world.script("bundle release ID --key KEY").await.exit(), Exit::Usage, "nobody can be asked");
    let other = format!("bundle release ID --key KEY --yes --digest {}", "08".repeat(32));
    assert_eq!(world.script(&other).await.exit(), Exit::Usage);
    let no = world.run("bundle release ID --key KEY", Person::Present, "n\n").await;
    assert!(matches!(no.ended, Err(Failed::Declined)));
    assert_eq!(world.desk.asked(), []);
    let yes = world.run("bundle release ID --key KEY --note fine", Person::Present, "y\n").await;
    assert_eq!(yes.exit(), Exit::Ok, "{:?}", yes.ended);
    assert!(yes.err.contains("status.json"), "{}", yes.err);
    let right = format!("bundle release ID --key KEY --yes --digest {}", "09".repeat(32));
    assert_eq!(world.script(&right).await.exit(), Exit::Ok);
    let asked = world.desk.asked();
    let [Asked::ReleaseBundle(id, bundle, note, by), Asked::ReleaseBundle(..)] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!((*id, *bundle, note.as_str(), by.name().as_str()), (world.id, [9; 32], "fine", "bob"));
}

#[tokio::test]
async fn a_bundle_is_deleted_when_somebody_means_it() {
    let world = collected(STATUS);
    assert_eq!(world.script("bundle delete ID").await.exit(), Exit::Usage);
    assert_eq!(world.script("bundle delete ID --yes").await.exit(), Exit::Ok);
    assert!(matches!(&world.desk.asked()[..], [Asked::DeleteBundle(id, _)] if *id == world.id));
}
