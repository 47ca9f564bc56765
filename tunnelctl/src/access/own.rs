//! Own requests of this machine: which one a command means. Pure, but for reading one by its id.

use tunnel_protos::{
    ClusterName, MethodName, MethodPattern, RequestId, TargetName, UnixMillis, v1::RequestState,
};

use super::advice;
use crate::{
    cli::RequestStart,
    failure::Failure,
    requester::record::{self, Folder, Record, What},
};

/// The newest live grant with the cluster, else the newest undecided request.
pub(crate) fn newest(open: &[Record], cluster: &ClusterName, now: UnixMillis) -> Result<RequestId, Failure> {
    let is_access = |record: &&Record| record.what == What::Access && record.cluster == *cluster;
    let own = || open.iter().rev().filter(is_access);
    let live = own().find(|record| record.is_live(now));
    let granted = || own().find(|record| record.is_granted(now));
    let any = live.or_else(granted).or_else(|| own().next());
    any.map(|record| record.id).ok_or_else(|| Failure::NoGrant(cluster.clone()))
}

/// The same ask, still undecided: nobody needs to be asked twice.
pub(crate) fn undecided(
    open: &[Record],
    cluster: &ClusterName,
    methods: &[MethodPattern],
    targets: &[TargetName],
    now: UnixMillis,
) -> Option<RequestId> {
    let same = |record: &&Record| {
        record.cluster == *cluster
            && !record.is_granted(now)
            && equal(&record.methods, methods)
            && equal(&record.targets, targets)
    };
    open.iter().rev().find(same).map(|record| record.id)
}

/// A live grant that covers a call, else the same ask that is still undecided.
pub(crate) fn covering(
    open: &[Record],
    cluster: &ClusterName,
    method: &MethodName,
    target: &TargetName,
    now: UnixMillis,
) -> Option<RequestId> {
    let covers =
        |record: &&Record| record.cluster == *cluster && record.is_live(now) && record.allows(method, target);
    // The newest: an older one may have been revoked, which nobody here knows yet.
    let live = open.iter().rev().find(covers).map(|record| record.id);
    let pattern = [MethodPattern::Exact(method.clone())];
    live.or_else(|| undecided(open, cluster, &pattern, std::slice::from_ref(target), now))
}

/// An open request; of one that ended it is told how.
pub(crate) fn open(folder: &Folder, id: RequestId, now: UnixMillis) -> Result<Record, Failure> {
    match folder.record(id) {
        Err(record::Error::Unknown(_)) => {
            Err(folder.any(id).map_or_else(Failure::from, |record| ended(&record, now)))
        }
        found => Ok(found?),
    }
}

/// Whether an operation was asked for here under this id.
pub(crate) fn is_operation(folder: &Folder, id: RequestId) -> bool {
    folder.any(id).is_ok_and(|record| record.what == What::Operation)
}

/// An operation that was asked for here, open or over: it can be looked at as long as its time lasts.
pub(crate) fn operation(folder: &Folder, id: RequestId, now: UnixMillis) -> Result<Record, Failure> {
    let record = folder.any(id)?;
    let is_open = folder.record(id).is_ok();
    match record.what {
        What::Operation if is_open || record.is_answered_yes() => Ok(record),
        What::Operation => Err(ended(&record, now)),
        _ => Err(Failure::Usage(format!("request {id} asks for no operation: {}", advice::resume(&record)))),
    }
}

/// The same by what a command line says of its id.
pub(crate) fn named_operation(
    folder: &Folder,
    start: &RequestStart,
    now: UnixMillis,
) -> Result<Record, Failure> {
    operation(folder, folder.named(start)?, now)
}

fn ended(record: &Record, now: UnixMillis) -> Failure {
    // Who closes what was never answered is its operator.
    let state = record.state(now).unwrap_or(RequestState::Withdrawn);
    let (reason, rule) = record.answer.as_ref().map_or(("", ""), |said| (&said.reason, &said.rule));
    Failure::Over {
        record: Box::new(record.clone()),
        told: Box::new(advice::over(record, state, reason, rule)),
        call: None,
    }
}

fn equal(kept: &[String], asked: &[impl ToString]) -> bool {
    kept.len() == asked.len() && kept.iter().zip(asked).all(|(kept, asked)| *kept == asked.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        requester::{
            samples::answer,
            tests::{Scene, scene},
        },
        testing::NOW,
    };

    fn cluster() -> ClusterName {
        "acme/prod".parse().unwrap()
    }

    fn granted(scene: &Scene) -> Record {
        Record { answer: Some(answer(RequestState::Active)), ..scene.access() }
    }

    #[tokio::test]
    async fn a_live_grant_goes_before_a_newer_question() {
        let scene = scene();
        let (live, pending) = (granted(&scene), scene.access());
        assert_eq!(newest(&[live.clone(), pending.clone()], &cluster(), NOW).unwrap(), live.id);
        assert_eq!(newest(std::slice::from_ref(&pending), &cluster(), NOW).unwrap(), pending.id);
        assert!(matches!(newest(&[], &cluster(), NOW), Err(Failure::NoGrant(_))));
    }

    #[tokio::test]
    async fn a_call_goes_by_the_newest_grant_that_covers_it() {
        let scene = scene();
        let (older, newer) = (granted(&scene), granted(&scene));
        let method: MethodName = older.answer.as_ref().unwrap().granted[0].parse().unwrap();
        let open = [older, newer.clone()];
        let found = covering(&open, &cluster(), &method, &TargetName::default_target(), NOW);
        assert_eq!(found, Some(newer.id));
    }

    #[tokio::test]
    async fn the_same_ask_is_found_while_it_is_undecided() {
        let scene = scene();
        let find = |record: &Record, method: &str| {
            let methods = [method.parse().unwrap()];
            let targets = [TargetName::default_target()];
            undecided(std::slice::from_ref(record), &cluster(), &methods, &targets, NOW)
        };
        let pending = scene.access();
        assert_eq!(find(&pending, "a.B/C"), Some(pending.id));
        assert_eq!(find(&pending, "a.B/*"), None);
        assert_eq!(find(&granted(&scene), "a.B/C"), None);
    }

    #[tokio::test]
    async fn of_an_ended_request_it_is_told_how_it_ended() {
        let scene = scene();
        let mut record = scene.access();
        let mut said = answer(RequestState::Revoked);
        said.reason = "work is done".into();
        record.answer = Some(said);
        scene.folder.close(&record).unwrap();
        let Err(Failure::Over { told, .. }) = open(&scene.folder, record.id, NOW) else { panic!("not over") };
        assert_eq!(told.text, "revoked by the customer: work is done");
        assert!(matches!(open(&scene.folder, RequestId::random(), NOW), Err(Failure::Record(_))));
    }
}
