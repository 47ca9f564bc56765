//! Each operation against each reason to refuse it, over the real rooms: the one sentence that operator and customer read,
//! or why the two cannot meet. Nothing is touched at the engine.

use tunnel_certs::statement::{
    approval::{Answer, Subject},
    request::operation::What,
};
use tunnel_integration::harness::{
    operation::{configure, debug, on_approval, restart, scale, task, upgrade},
    operator::Submitted,
    release::{Manifest, ReleaseKeys},
};
use tunnel_protos::{
    Digest,
    approvers::{AnswerRequest, RequestView},
    v1::RequestState,
};

use super::{Lab, refusals::untouched, sentence};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scale,
    Upgrade,
    Restart,
    Configure,
    RunTask,
    CollectDebug,
}

const KINDS: [Kind; 6] =
    [Kind::Scale, Kind::Upgrade, Kind::Restart, Kind::Configure, Kind::RunTask, Kind::CollectDebug];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Policy,
    StalePlan,
    Expected,
    Unsigned,
    UnknownKey,
    OldRelease,
    Tag,
    Unknown,
    Bounds,
    Paused,
}

/// The last one holds everything up that comes after it.
const REASONS: [Reason; 10] = [
    Reason::Policy,
    Reason::StalePlan,
    Reason::Expected,
    Reason::Unsigned,
    Reason::UnknownKey,
    Reason::OldRelease,
    Reason::Tag,
    Reason::Unknown,
    Reason::Bounds,
    Reason::Paused,
];

/// What is read of a refusal.
#[derive(Debug, PartialEq, Eq)]
enum Cell {
    /// Denied by itself; the same for operator and customer.
    Denied(&'static str),
    /// Denied by what was found: what the operator reads, and what the customer reads.
    Found(&'static str, &'static str),
    /// A person's yes is not taken.
    NotApproved(&'static str),
    /// The two cannot meet, and why.
    Never(&'static str),
}

#[expect(clippy::too_many_lines, reason = "one flat match, in which each pair is found")]
fn cell(kind: Kind, reason: Reason) -> Cell {
    use Cell::{Denied, Found, Never, NotApproved};
    use Kind::{CollectDebug, Configure, Restart, RunTask, Scale, Upgrade};
    match (reason, kind) {
        (Reason::Policy, Scale) => Denied("Scaling is denied by the policy"),
        (Reason::Policy, Upgrade) => Denied("An upgrade is denied by the policy"),
        (Reason::Policy, Restart) => Denied("A restart is denied by the policy"),
        (Reason::Policy, Configure) => Denied("A change of settings is denied by the policy"),
        (Reason::Policy, RunTask) => Denied("The task compact is denied by the policy"),
        (Reason::Policy, CollectDebug) => Denied("A debug bundle is denied by the policy"),
        (Reason::StalePlan, Scale | Upgrade | Restart | Configure | RunTask | CollectDebug) => NotApproved(
            "the plan has changed since it was shown; look again with `tunnel-client show`, then approve",
        ),
        (Reason::Expected, Scale) => Found(
            "The replicas of storage are not as expected",
            "The replicas of storage are 3, not 2 as expected",
        ),
        (Reason::Expected, Upgrade) => Found(
            "The release of storage is not as expected",
            "The release of storage is 1.0.0, not 0.9.0 as expected",
        ),
        (Reason::Expected, Restart) => Found(
            "The replicas of storage are not as expected",
            "The replicas of storage are 3, not 4 as expected",
        ),
        (Reason::Expected, Configure) => Found(
            "The setting logLevel of storage is not as expected",
            "The setting logLevel of storage is info, not warn as expected",
        ),
        (Reason::Expected, RunTask | CollectDebug) => Never("it changes no value that could be expected"),
        (Reason::Unsigned, Upgrade) => Denied("The release for storage is not signed"),
        (Reason::UnknownKey, Upgrade) => {
            Denied("The release for storage is signed by 0 of the vendor's release keys, and 2 are needed")
        }
        (Reason::OldRelease, Upgrade) => Found(
            "Release 1.1.0 of query has the sequence 2, which is not above the highest seen here; a downgrade must be asked \
             for, and a person decides about it",
            "Release 1.1.0 of query has the sequence 2, which is not above 3, the highest seen here; a downgrade must be asked \
             for, and a person decides about it",
        ),
        (Reason::Tag, Upgrade) => Denied(
            "The release for storage names its image 1 by a tag or by no repository at all, and images go by digest alone",
        ),
        (
            Reason::Unsigned | Reason::UnknownKey | Reason::OldRelease | Reason::Tag,
            Scale | Restart | Configure | RunTask | CollectDebug,
        ) => Never("only an upgrade brings a release"),
        (Reason::Unknown, Scale | Upgrade | Restart | Configure) => {
            Denied("The engine profile has no component archive; it has query, storage")
        }
        (Reason::Unknown, RunTask) => {
            Denied("The engine profile has no task polish; it has check, compact, flush, gc, reindex")
        }
        (Reason::Unknown, CollectDebug) => {
            Denied("The engine profile has no collector everything; it has engine, nodes, status")
        }
        (Reason::Bounds, Scale) => {
            Denied("65 replicas are not within 1 to 64, which the engine profile asks of storage")
        }
        (Reason::Bounds, Configure) => {
            Denied("The setting logLevel of storage takes one of debug, info, warn, error")
        }
        (Reason::Bounds, RunTask) => {
            Denied("The argument pauseMillis of the task compact takes a whole number from 0 to 60000")
        }
        (Reason::Bounds, Upgrade) => Never("the profile sets no bounds to releases: their manifests do"),
        (Reason::Bounds, Restart) => Never("it takes no value, and nodes that are not there are unknown"),
        (Reason::Bounds, CollectDebug) => Never("it takes no value, and its sizes are bounded when it runs"),
        (Reason::Paused, Scale | Upgrade | Restart | Configure | RunTask | CollectDebug) => {
            NotApproved("nothing is decided now: everything is paused by uid UID; resume first, then approve")
        }
    }
}

/// An operation that nothing but `reason` is wrong with.
fn what(lab: &Lab, kind: Kind, reason: Reason) -> What {
    let component = if reason == Reason::Unknown { "archive" } else { "storage" };
    let made = match (kind, reason) {
        (Kind::Scale, Reason::Expected) => scale(component, 2, 4),
        (Kind::Scale, Reason::Bounds) => scale(component, 3, 65),
        (Kind::Scale, _) => scale(component, 3, 4),
        (Kind::Upgrade, Reason::OldRelease) => upgrade("query", "1.2.0", lab.release("query", "1.1.0", 2)),
        (Kind::Upgrade, Reason::Expected) => upgrade(component, "0.9.0", release(lab, component, reason)),
        (Kind::Upgrade, _) => upgrade(component, "1.0.0", release(lab, component, reason)),
        (Kind::Restart, Reason::Expected) => restart(component, &[], 4),
        (Kind::Restart, _) => restart(component, &[], 3),
        (Kind::Configure, Reason::Expected) => configure(component, "logLevel", "warn", "debug"),
        (Kind::Configure, Reason::Bounds) => configure(component, "logLevel", "info", "loud"),
        (Kind::Configure, _) => configure(component, "logLevel", "info", "debug"),
        (Kind::RunTask, Reason::Unknown) => task("polish", &[]),
        (Kind::RunTask, Reason::Bounds) => task("compact", &[("pauseMillis", "60001")]),
        (Kind::RunTask, _) => task("compact", &[]),
        (Kind::CollectDebug, Reason::Unknown) => debug(&["everything"]),
        (Kind::CollectDebug, _) => debug(&["status"]),
    };
    made.unwrap()
}

fn release(lab: &Lab, component: &str, reason: Reason) -> Vec<u8> {
    let (keys, manifest) = (lab.world.vendor.releases(), Manifest::new(component, "1.1.0", 2));
    match reason {
        Reason::Unsigned => keys.sign_by(0, &manifest).unwrap(),
        Reason::UnknownKey => ReleaseKeys::generate().unwrap().sign(&manifest).unwrap(),
        Reason::Tag => keys.sign(&manifest.with_repository("registry.example/engine:latest")).unwrap(),
        _ => keys.sign(&manifest).unwrap(),
    }
}

/// All of it by a person.
const POLICY: &str = "  - methods: [\"grpc.health.v1.Health/*\"]
    approval: auto
approvals:
  scale: { mode: manual, limits: { maxReplicas: 64, maxStep: 64 } }
  configure: { mode: manual, limits: { settings: [logLevel] } }
  restart: manual
  upgrade: manual
  collectDebug: manual
  runTask: { compact: manual, polish: manual }
";

async fn lab(policy: &str) -> Lab {
    let (mut plan, key, keys) = Lab::plan().await;
    plan.client.policy = key.policy(policy);
    Lab::of(plan.start().await.unwrap(), key, keys)
}

/// What is read, as the operator and as the customer have it.
async fn read(lab: &Lab, kind: Kind, reason: Reason) -> (String, String) {
    let submitted = lab.ask(on_approval(what(lab, kind, reason))).await;
    match cell(kind, reason) {
        Cell::NotApproved(_) => {
            let view = lab.planned(&submitted).await;
            let refused = match reason {
                Reason::StalePlan => yes_to_another_plan(lab, &submitted).await,
                _ => lab.approve(&submitted, &view).await,
            };
            let refused = refused.unwrap_err().message().to_owned();
            (refused.clone(), refused)
        }
        _ => {
            let (outcome, customers) = lab.over_for_both(&submitted).await;
            assert_eq!(outcome.state, RequestState::Denied, "{kind:?} {reason:?}: {outcome:?}");
            (outcome.reason, customers)
        }
    }
}

/// As it is said by somebody who looked at a plan that is not the one any more.
async fn yes_to_another_plan(lab: &Lab, submitted: &Submitted) -> Result<RequestView, tonic::Status> {
    let old = [9; 32];
    let subject =
        Subject::Request { request: submitted.digest, plan: Some(Digest::new(old)), answer: Answer::Yes };
    let request = AnswerRequest {
        id: submitted.request.id.to_string(),
        digest: submitted.digest.as_bytes().to_vec(),
        note: String::new(),
        approval: lab.key.sign(submitted.request.label, subject).unwrap(),
        plan_digest: old.to_vec(),
    };
    lab.world.approver().answer(request, Answer::Yes).await
}

#[tokio::test]
async fn each_operation_is_refused_for_each_reason_in_one_sentence() {
    let closed = lab("  - methods: [\"grpc.health.v1.Health/*\"]\n    approval: auto\n").await;
    let open = lab(POLICY).await;
    let (_, newer) = open.run(upgrade("query", "1.0.0", open.release("query", "1.2.0", 3)).unwrap()).await;
    assert_eq!(newer.state, RequestState::Succeeded, "{newer:?}");
    let (mut wrong, uid) = (Vec::new(), rustix::process::getuid().as_raw());
    for reason in REASONS {
        if reason == Reason::Paused {
            open.world.approver().pause().await.unwrap();
        }
        for kind in KINDS {
            let lab = if reason == Reason::Policy { &closed } else { &open };
            let (operators, customers) = match cell(kind, reason) {
                Cell::Never(_) => continue,
                Cell::Found(operators, customers) => (operators, customers),
                Cell::Denied(both) | Cell::NotApproved(both) => (both, both),
            };
            let told = read(lab, kind, reason).await;
            sentence(&told.0, &[]);
            sentence(&told.1, &[]);
            let wanted = [operators, customers].map(|text| text.replace("uid UID", &format!("uid {uid}")));
            if [&told.0, &told.1] != [&wanted[0], &wanted[1]] {
                wrong.push(format!("{reason:?} {kind:?}: {told:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(open.storage().await.iter().all(|node| *node == ("1.0.0".to_owned(), 0)));
    untouched(&closed).await;
}
