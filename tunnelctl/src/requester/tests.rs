use std::future::pending;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Status;
use tunnel_certs::{
    key::{Algorithm, SigningKey},
    statement::request::{Access, Occasion, Withdraw, operation},
};
use tunnel_protos::{
    PersonText, TargetName,
    operators::Delivery,
    v1::{RequestState, SealedRequest},
};

use super::{
    record::What,
    wait::{Finish, Goal, News},
    *,
};
use crate::testing::{
    Cluster, Vendor, answer_by,
    broker::{Broker, Script, delivered, told},
    clock, outcome,
};

/// A vendor, a cluster, and an operator's folder.
pub(crate) struct Scene {
    pub(crate) cluster: std::sync::Arc<Cluster>,
    pub(crate) folder: Folder,
    operator: Operator,
    _home: TempDir,
}

pub(crate) fn scene() -> Scene {
    let vendor = Vendor::new();
    let home = tempfile::tempdir().unwrap();
    Scene {
        cluster: Cluster::new(&vendor).into(),
        folder: Folder::new(&home.path().join("requests")),
        operator: vendor.operator(),

        _home: home,
    }
}

impl Scene {
    pub(crate) fn requester(&self, api: Api) -> Requester {
        Requester { api, operator: self.operator.clone(), folder: self.folder.clone(), clock: clock() }
    }

    /// A request that was made and kept, without a broker.
    pub(crate) fn access(&self) -> Record {
        let nowhere = tonic::transport::Endpoint::from_static("http://nowhere").connect_lazy();
        self.requester(Api::over(nowhere)).make(&self.cluster.entry(), access(), reason()).unwrap()
    }

    /// Asks the broker for access with a patience of a minute.
    async fn ask(&self, broker: &Broker) -> Asked {
        let mut tasks = JoinSet::new();
        let requester = self.requester(broker.api(&mut tasks));
        let mut record = requester.make(&self.cluster.entry(), access(), reason()).unwrap();
        let mut news = Vec::new();
        let finish = requester.ask(&mut record, Goal::Grant, &patience(), &mut |new| news.push(new)).await;
        Asked { finish: finish.unwrap(), news, record }
    }
}

struct Asked {
    finish: Finish,
    news: Vec<News>,
    record: Record,
}

fn access() -> Kind {
    Kind::Access(Access {
        methods: vec!["a.B/C".parse().unwrap()],
        targets: vec![TargetName::default_target()],
        raw: false,
        wanted: Duration::from_secs(1800),
    })
}

pub(crate) fn reason() -> Reason {
    Reason { occasion: Occasion::Incident, text: "disk full".parse().unwrap(), ticket: PersonText::default() }
}

pub(crate) fn patience() -> Patience {
    Patience::new(Duration::from_secs(60), interrupt(Box::pin(pending())))
}

/// A broker before an honest cluster, which answers with `state`.
pub(crate) fn honest(scene: &Scene, state: RequestState) -> Broker {
    let cluster = scene.cluster.clone();
    Broker::new(move |_, sealed| Script::ThenSilence(vec![told(cluster.settle(sealed, 1, state))]))
}

#[tokio::test]
async fn requests_hold_for_the_cluster_and_live_no_longer_than_allowed() {
    let scene = scene();
    let record = scene.access();
    let opened = scene.cluster.open(&scene.folder.sealed(record.id).unwrap());
    assert_eq!(opened.words, record.words());
    assert_eq!(opened.request.expires, scene.operator.not_after);
    assert_eq!(record.what, What::Access);
}

#[test]
fn what_begins_by_itself_lives_for_an_hour_only() {
    let debug = operation::CollectDebug { collectors: vec!["status".parse().unwrap()], targets: vec![] };
    let kind = |start| {
        let what = operation::What::CollectDebug(debug.clone());
        Kind::Operation(Box::new(Operation { what, start, dry_run: false, wanted: Duration::ZERO }))
    };
    assert_eq!(usual_life(&kind(Start::OnApproval)), Duration::from_secs(3600));
    assert_eq!(usual_life(&kind(Start::OnCall)), request::MAX_LIFE);
    assert_eq!(usual_life(&access()), request::MAX_LIFE);
}

#[tokio::test]
async fn each_request_has_its_own_outcome_key() {
    let scene = scene();
    let keys = [scene.access(), scene.access()]
        .map(|record| scene.cluster.open(&scene.folder.sealed(record.id).unwrap()).request.outcome_key);
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_grant_is_kept_with_its_extent() {
    let scene = scene();
    let asked = scene.ask(&honest(&scene, RequestState::Approved)).await;
    assert!(matches!(asked.finish, Finish::Yes(_)));
    let kept = scene.folder.record(asked.record.id).unwrap();
    assert!(kept.is_live(clock().now()));
    assert!(kept.allows(&"a.B/C".parse().unwrap(), &TargetName::default_target()));
    assert!(!kept.allows(&"a.B/D".parse().unwrap(), &TargetName::default_target()));
}

#[tokio::test]
async fn a_denied_request_is_forgotten_with_its_key() {
    let scene = scene();
    let asked = scene.ask(&honest(&scene, RequestState::Denied)).await;
    assert!(matches!(asked.finish, Finish::Denied(_)));
    assert!(matches!(scene.folder.record(asked.record.id), Err(record::Error::Unknown(_))));
    assert!(scene.folder.reader(&asked.record).is_err());
}

#[tokio::test(start_paused = true)]
async fn waiting_survives_a_broker_that_restarts_and_forgets() {
    let scene = scene();
    let cluster = scene.cluster.clone();
    let broker = Broker::new(move |watch, sealed| match watch {
        0 => Script::ThenEnd(vec![delivered(Delivery::Sent)]),
        1 => Script::Refused(Status::unavailable("starting")),
        2 => Script::Refused(Status::not_found("no such request")),
        _ => Script::ThenSilence(vec![told(cluster.settle(sealed, 1, RequestState::Approved))]),
    });
    let asked = scene.ask(&broker).await;
    assert!(matches!(asked.finish, Finish::Yes(_)));
    let submitted = broker.submitted();
    assert_eq!(submitted.len(), 2);
    assert_eq!(submitted[0], submitted[1]);
}

#[tokio::test]
async fn forged_outcomes_neither_grant_nor_deny() {
    let scene = scene();
    let cluster = scene.cluster.clone();
    let broker = Broker::new(move |_, sealed| {
        let opened = cluster.open(sealed);
        let forger = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let forged = [RequestState::Denied, RequestState::Approved]
            .map(|state| told(answer_by(&forger, sealed, &opened.request, &outcome(&opened, 9, state))));
        let honest = told(cluster.settle(sealed, 1, RequestState::Approved));
        Script::ThenSilence([forged.to_vec(), vec![honest]].concat())
    });
    let asked = scene.ask(&broker).await;
    assert!(matches!(asked.finish, Finish::Yes(outcome) if outcome.sequence == 1));
    assert_eq!(asked.news.iter().filter(|news| matches!(news, News::Ignored(_))).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_as_still_waiting_and_the_request_stays_open() {
    let scene = scene();
    let broker = Broker::new(|_, _| Script::ThenSilence(vec![delivered(Delivery::Waiting)]));
    let asked = scene.ask(&broker).await;
    assert_eq!(asked.finish, Finish::StillWaiting { offline: true });
    assert!(scene.folder.record(asked.record.id).is_ok());
    let resumed = scene.requester(honest(&scene, RequestState::Approved).api(&mut JoinSet::new()));
    assert_eq!(resumed.folder.open(clock().now()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_refusal_by_the_broker_ends_the_waiting() {
    let scene = scene();
    let broker = Broker::new(|_, _| Script::Refused(Status::permission_denied("not yours")));
    let mut tasks = JoinSet::new();
    let requester = scene.requester(broker.api(&mut tasks));
    let mut record = requester.make(&scene.cluster.entry(), access(), reason()).unwrap();
    let asked = requester.ask(&mut record, Goal::Grant, &patience(), &mut |_| {}).await;
    assert!(matches!(asked, Err(Error::Broker(error)) if !error.is_retryable()));
}

#[tokio::test]
async fn a_list_without_end_is_cut() {
    let mut tasks = JoinSet::new();
    let broker = Broker::new(|_, _| Script::ThenSilence(Vec::new()));
    let clusters = broker.api(&mut tasks).clusters().await.unwrap();
    assert_eq!(clusters.len(), crate::api::MOST_CLUSTERS);
}

#[tokio::test]
async fn a_withdrawal_names_the_request() {
    let scene = scene();
    let grant = scene.access();
    let mut tasks = JoinSet::new();
    let requester = scene.requester(honest(&scene, RequestState::Done).api(&mut tasks));
    let kind = Kind::Withdraw(Withdraw { request: grant.id });
    let mut record = requester.make(&scene.cluster.entry(), kind.clone(), reason()).unwrap();
    let sealed: SealedRequest = scene.folder.sealed(record.id).unwrap();
    assert_eq!(scene.cluster.open(&sealed).request.kind, kind);
    let finish = requester.ask(&mut record, Goal::Done, &patience(), &mut |_| {}).await.unwrap();
    assert!(matches!(finish, Finish::Yes(_)));
}
