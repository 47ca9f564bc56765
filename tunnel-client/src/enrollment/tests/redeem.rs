//! The way of an enrollment bundle: from the first start to a certificate, through every loss.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use prost::Message;
use tokio::net::TcpListener;
use tunnel_certs::{enrollment::Bundle, statement::registration};
use tunnel_protos::{
    approvers::EnrollmentState,
    v1::{EnrollRefusal, TokenKind, enroll_reply::Body as Reply},
};

use crate::enrollment::testing::*;

#[tokio::test]
async fn a_bundle_becomes_a_certificate_and_a_registration_that_only_the_ends_can_make() {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let bundle = vendor.bundle(TokenKind::Cluster);
    let site = Site::with_bundle(&broker, &bundle);
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    let [redeem] = &broker.redeems()[..] else { panic!("one redeem") };
    assert_eq!(redeem.token_id, bundle.token.to_string());
    assert_eq!(redeem.broker_secret, bundle.secret.broker_secret().as_bytes());
    let envelope = redeem.registration.as_ref().unwrap();
    bundle.secret.ends_secret().check(envelope, &redeem.mac).unwrap();
    let opened = registration::open(&envelope.encode_to_vec()).unwrap();
    let said = &opened.registration;
    let sha256 = Bundle::open(&bundle.encode()).unwrap().sha256;
    assert_eq!((said.bundle_sha256, said.token, said.label), (Some(sha256), Some(bundle.token), label()));
    assert_eq!(redeem.csr, said.mesh_csr);
    assert_eq!((said.cluster_key.clone(), said.sealing_key), (site.keys().cluster, site.keys().sealing));
    assert_eq!(client.view().registration_words, opened.words.to_string());
    assert!(client.view().next.contains("tunnelctl enroll confirm"), "{}", client.view().next);
    assert!(!client.takes_requests());
}

#[tokio::test]
async fn what_is_kept_is_private_and_enough_without_bundle_and_configuration() {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    let words = client.view().registration_words;
    drop(client);
    for name in ["mesh.pem", "trust-bundle.pb", "enrollment.json", "mesh.key", "cluster.key", "sealing.key"] {
        let mode = std::fs::metadata(site.state().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    std::fs::remove_file(site.path("b")).unwrap();
    let asked = broker.asks.lock().len();
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    assert_eq!((client.view().registration_words, client.has_certificate()), (words, true));
    assert_eq!(broker.asks.lock().len(), asked, "nobody is asked again");
    let bare = Site { folder: site.folder, ..Site::new(&[], "") };
    let client = bare.start();
    client.eventually_is(EnrollmentState::Registered).await;
    assert!(client.has_certificate());
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_with_the_same_registration() {
    let vendor = Arc::new(Vendor::new());
    let (mut say, mut lost) = (honest(&vendor), 0);
    let broker = Broker::start(&vendor.broker(), move |ask| {
        lost += 1;
        if lost <= 2 { Answer::Drop } else { say(ask) }
    })
    .await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    let redeems = broker.redeems();
    assert_eq!(redeems.len(), 3);
    assert!(redeems.iter().all(|redeem| *redeem == redeems[0]), "idempotent");
}

#[tokio::test]
async fn a_kill_at_any_moment_is_gone_on_from_with_the_same_keys() {
    let vendor = Arc::new(Vendor::new());
    let (mut say, mut asked) = (honest(&vendor), 0);
    let broker = Broker::start(&vendor.broker(), move |ask| {
        asked += 1;
        if asked == 1 { Answer::Drop } else { say(ask) }
    })
    .await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_fails_with("the connection to the broker").await;
    drop(client);
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    drop(client);
    // The certificate is the last that is kept; a kill before that leaves the record alone.
    std::fs::remove_file(site.state().join("mesh.pem")).unwrap();
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    let redeems = broker.redeems();
    assert_eq!(redeems.len(), 3);
    assert!(redeems.iter().all(|redeem| *redeem == redeems[0]), "idempotent");
}

#[tokio::test]
async fn an_absent_broker_is_waited_for() {
    let vendor = Arc::new(Vendor::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let site = Site::new(&[&address.to_string()], "enrollment: {bundle: b}");
    let bundle = vendor.bundle(TokenKind::Cluster);
    site.put_bundle(&bundle);
    let client = site.start();
    client.eventually_fails_with("cannot reach").await;
    let view = client.view();
    assert_eq!((view.state(), view.token_expires_ms), (EnrollmentState::Redeeming, bundle.expires.0));
    assert!(view.next.contains("TCP"), "{}", view.next);
    let broker = Broker::at(TcpListener::bind(address).await.unwrap(), &vendor.broker(), honest(&vendor));
    client.eventually_is(EnrollmentState::Registered).await;
    assert_eq!((broker.redeems().len(), client.view().last_error), (1, String::new()));
}

#[tokio::test]
async fn a_busy_broker_is_asked_again_and_one_that_says_no_for_good_fails_it() {
    for (reason, state, says) in [
        (EnrollRefusal::Busy, EnrollmentState::Redeeming, "busy"),
        (EnrollRefusal::Expired, EnrollmentState::Failed, "has expired"),
        (EnrollRefusal::Used, EnrollmentState::Failed, "was used before"),
        (EnrollRefusal::Unknown, EnrollmentState::Failed, "do not know"),
        (EnrollRefusal::Banned, EnrollmentState::Failed, "banned"),
        (EnrollRefusal::Malformed, EnrollmentState::Failed, "do not understand"),
    ] {
        let vendor = Arc::new(Vendor::new());
        let broker = Broker::start(&vendor.broker(), move |_| Answer::Refuse(reason)).await;
        let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
        let client = site.start();
        client.eventually_is(state).await;
        client.eventually_fails_with(says).await;
        assert!(!client.view().last_error.contains('\u{1b}'), "the broker's own text is not shown");
    }
}

#[tokio::test]
async fn a_new_bundle_in_place_of_a_bad_one_mends_it_without_a_restart() {
    let vendor = Arc::new(Vendor::new());
    let first = vendor.bundle(TokenKind::Cluster);
    let (mut say, bad) = (honest(&vendor), first.token.to_string());
    let broker = Broker::start(&vendor.broker(), move |ask| match &ask {
        tunnel_protos::v1::enroll_request::Body::Redeem(redeem) if redeem.token_id == bad => {
            Answer::Refuse(EnrollRefusal::Expired)
        }
        _ => say(ask),
    })
    .await;
    let site = Site::with_bundle(&broker, &first);
    let client = site.start();
    client.eventually_is(EnrollmentState::Failed).await;
    assert!(client.view().next.contains("new enrollment bundle"), "{}", client.view().next);
    let words = client.view().registration_words;
    site.put_bundle(&vendor.bundle(TokenKind::Cluster));
    client.eventually_is(EnrollmentState::Registered).await;
    assert_ne!(client.view().registration_words, words, "another bundle is another registration");
}

#[tokio::test]
async fn an_expired_bundle_is_not_even_shown_to_a_broker() {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let expired = Bundle { expires: now().minus(DAY), ..vendor.bundle(TokenKind::Cluster) };
    let site = Site::with_bundle(&broker, &expired);
    let client = site.start();
    client.eventually_is(EnrollmentState::Failed).await;
    client.eventually_fails_with("clock").await;
    assert_eq!(broker.dialed(), 0);
}

#[tokio::test]
async fn a_bundle_of_another_cluster_or_vendor_does_not_fit_the_folder() {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    drop(client);
    let other = Bundle { label: "otheraaaaa".parse().unwrap(), ..vendor.bundle(TokenKind::Cluster) };
    site.put_bundle(&other);
    let refused = site.try_start().err().unwrap().to_string();
    assert!(refused.contains("different clusters"), "{refused}");
}

#[tokio::test]
async fn without_bundle_record_and_files_it_says_what_to_set() {
    let site = Site::new(&[], "");
    let refused = site.try_start().err().unwrap().to_string();
    assert!(refused.contains("enrollment.bundle"), "{refused}");
    let site = Site::new(&[], "enrollment: {bundle: b}");
    assert!(site.try_start().err().unwrap().to_string().contains("enrollment bundle"));
}

#[tokio::test]
async fn a_newer_trust_bundle_of_the_reply_is_kept_and_an_older_one_is_not() {
    for (sequence, kept) in [(9, 9), (5, 5), (2, 5)] {
        let vendor = Arc::new(Vendor::new());
        let signer = vendor.clone();
        let broker = Broker::start(&vendor.broker(), move |ask| {
            let trust = Some(signer.trust(sequence, &signer.key));
            let issued = issued(&signer, csr_of(&ask).unwrap());
            Answer::Say(Reply::Issued(tunnel_protos::v1::Issued { trust_bundle: trust, ..issued }))
        })
        .await;
        let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
        let client = site.start();
        client.eventually_is(EnrollmentState::Registered).await;
        let sequence = |client: &Running| client.trust.belief().borrow().bundle.sequence;
        assert_eq!(sequence(&client), kept);
        drop(client);
        assert_eq!(sequence(&site.start()), kept, "also after a restart with the old bundle");
    }
}
