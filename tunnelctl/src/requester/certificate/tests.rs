use tokio::task::JoinSet;
use tunnel_certs::{
    identity::Identity,
    key::{Algorithm, Signer},
};
use tunnel_protos::v1::{RequestState, SealedOutcome, SealedRequest};

use super::*;
use crate::{
    requester::{
        tests::{Scene, honest, patience, reason, scene},
        wait::News,
    },
    testing::{
        Cluster,
        broker::{Broker, Script, told},
        outcome,
    },
};

const GRANT: &str = "0b0e7a52-7f5f-4c0e-9d6e-2f6f1f0b3a11";

fn grant() -> GrantId {
    GRANT.parse().unwrap()
}

async fn ask(scene: &Scene, broker: &Broker) -> Result<Answered, CertificateError> {
    let mut tasks = JoinSet::new();
    let requester = scene.requester(broker.api(&mut tasks));
    let entry = scene.cluster.entry();
    let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    requester.certificate(&entry, grant(), key, &reason(), &patience(), &mut |_: News| {}).await
}

/// A cluster that issues whatever `issue` says.
fn issuing(
    scene: &Scene,
    issue: impl Fn(&Cluster, &[u8]) -> outcome::Issued + Send + Sync + 'static,
) -> Broker {
    let cluster = scene.cluster.clone();
    Broker::new(move |_, sealed| {
        let issued = issue(&cluster, &csr(&cluster, sealed));
        Script::ThenSilence(vec![told(done(&cluster, sealed, issued))])
    })
}

fn csr(cluster: &Cluster, sealed: &SealedRequest) -> Vec<u8> {
    match cluster.open(sealed).request.kind {
        Kind::Certificate(ask) => ask.csr,
        other => panic!("not a certificate request: {other:?}"),
    }
}

fn done(cluster: &Cluster, sealed: &SealedRequest, issued: outcome::Issued) -> SealedOutcome {
    let opened = cluster.open(sealed);
    let outcome = Outcome { issued: Some(issued), ..outcome(&opened, 1, RequestState::Done) };
    cluster.answer(sealed, &opened.request, &outcome)
}

#[tokio::test]
async fn a_certificate_is_for_the_key_and_the_grant() {
    let scene = scene();
    let Ok(Answered::Certificate(certified)) = ask(&scene, &honest(&scene, RequestState::Done)).await else {
        panic!("no certificate")
    };
    let expected = Identity::Grant { label: scene.cluster.label, grant: grant() };
    assert_eq!(certified.credential.identity().unwrap(), expected);
    assert_eq!(certified.doors.len(), 1);
    assert!(certified.work_until >= certified.not_after);
    assert!(scene.folder.open(crate::testing::NOW).unwrap().is_empty());
}

#[tokio::test]
async fn refuses_a_certificate_for_another_key() {
    let scene = scene();
    let broker = issuing(&scene, |cluster, _| {
        let other = SigningKey::generate(Algorithm::P256).unwrap();
        cluster.certify(&other.csr().unwrap(), grant())
    });
    let refused = ask(&scene, &broker).await;
    assert!(matches!(refused, Err(CertificateError::Swapped(outcome::OpenError::OtherKey))));
}

#[tokio::test]
async fn refuses_a_certificate_under_another_grant() {
    let scene = scene();
    let broker = issuing(&scene, |cluster, csr| {
        cluster.certify(csr, "11111111-7f5f-4c0e-9d6e-2f6f1f0b3a11".parse().unwrap())
    });
    assert!(matches!(ask(&scene, &broker).await, Err(CertificateError::OtherGrant(_))));
}

#[tokio::test]
async fn refuses_anchors_that_are_no_ca() {
    let scene = scene();
    let broker = issuing(&scene, |cluster, csr| {
        let issued = cluster.certify(csr, grant());
        outcome::Issued { anchors: vec![issued.certificate.clone()], ..issued }
    });
    assert!(matches!(ask(&scene, &broker).await, Err(CertificateError::Anchors(_))));
}

#[tokio::test]
async fn refuses_done_without_a_certificate() {
    let scene = scene();
    let cluster = scene.cluster.clone();
    let broker = Broker::new(move |_, sealed| {
        let opened = cluster.open(sealed);
        let empty = outcome(&opened, 1, RequestState::Done);
        Script::ThenSilence(vec![told(cluster.answer(sealed, &opened.request, &empty))])
    });
    assert!(matches!(ask(&scene, &broker).await, Err(CertificateError::Missing)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_certificate_request_is_asked_again_with_a_new_one() {
    let scene = scene();
    let cluster = scene.cluster.clone();
    let broker = Broker::new(move |watch, sealed| match watch {
        0 => Script::ThenSilence(Vec::new()),
        _ => Script::ThenSilence(vec![told(cluster.settle(sealed, 1, RequestState::Done))]),
    });
    assert!(matches!(ask(&scene, &broker).await, Ok(Answered::Certificate(_))));
    let submitted = broker.submitted();
    assert_eq!(submitted.len(), 2);
    assert_ne!(submitted[0], submitted[1]);
    assert!(scene.folder.open(crate::testing::NOW).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_stays_silent_ends_the_asking() {
    let scene = scene();
    let broker = Broker::new(|_, _| Script::ThenSilence(Vec::new()));
    let answered = ask(&scene, &broker).await.unwrap();
    assert!(matches!(answered, Answered::No(finish) if matches!(*finish, Finish::StillWaiting { .. })));
    assert_eq!(broker.submitted().len(), 3);
}

#[test]
fn session_keys_do_not_show_in_debug() {
    let key = SigningKey::generate(Algorithm::P256).unwrap();
    let shown = format!("{key:?}");
    assert!(!shown.contains("PRIVATE") && shown.contains(&format!("{:?}", key.public())));
}
