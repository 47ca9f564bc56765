//! A broker that lies: it delays, and changes nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tunnel_certs::{
    issue::CaKind,
    key::{Algorithm, Signer, SigningKey},
};
use tunnel_protos::{
    approvers::EnrollmentState,
    v1::{self, TokenKind, enroll_reply::Body as Reply, enroll_request::Body as Ask},
};

use crate::enrollment::testing::*;

#[tokio::test]
async fn a_certificate_that_is_not_ours_is_not_taken() {
    type Forge = fn(&Vendor, &[u8]) -> Vec<u8>;
    let forgeries: [(&str, Forge); 6] = [
        ("another key", |vendor, _| vendor.certify(&p256().csr().unwrap())),
        ("another cluster", |vendor, csr| {
            vendor.certify_at(
                &tunnel_certs::csr::public_key(csr).unwrap(),
                &"otheraaaaa".parse().unwrap(),
                now(),
            )
        }),
        ("another CA", |_, csr| Vendor::new().certify(csr)),
        ("run out", |vendor, csr| {
            vendor.certify_at(&tunnel_certs::csr::public_key(csr).unwrap(), &label(), now().minus(3 * DAY))
        }),
        ("a broker's", |vendor, _| vendor.broker().certificate().to_vec()),
        ("no certificate", |_, _| b"nonsense".to_vec()),
    ];
    for (what, forge) in forgeries {
        let vendor = Arc::new(Vendor::new());
        let (mut honest, liar) = (honest(&vendor), vendor.clone());
        let mut asked = 0;
        let broker = Broker::start(&vendor.broker(), move |ask| {
            asked += 1;
            if asked > 2 {
                return honest(ask);
            }
            let csr = csr_of(&ask).unwrap();
            Answer::Say(Reply::Issued(v1::Issued { certificate: forge(&liar, csr), ..issued(&liar, csr) }))
        })
        .await;
        let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
        let client = site.start();
        client.eventually_fails_with("certificate").await;
        assert!(!client.has_certificate() && !site.state().join("mesh.pem").exists(), "{what}");
        client.eventually_is(EnrollmentState::Registered).await;
        assert_eq!(broker.redeems().len(), 3, "{what}");
    }
}

#[tokio::test]
async fn a_forged_trust_bundle_changes_nothing() {
    let vendor = Arc::new(Vendor::new());
    let liar = vendor.clone();
    let broker = Broker::start(&vendor.broker(), move |ask| {
        let forged = liar.trust(99, &ed25519());
        let issued = issued(&liar, csr_of(&ask).unwrap());
        Answer::Say(Reply::Issued(v1::Issued { trust_bundle: Some(forged), ..issued }))
    })
    .await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    assert_eq!(client.trust.belief().borrow().bundle.sequence, 5);
}

#[tokio::test]
async fn an_entry_that_is_forged_or_for_other_keys_is_not_even_held() {
    for forged in [true, false] {
        let vendor = Arc::new(Vendor::new());
        let bundle = vendor.bundle(TokenKind::Cluster);
        let liar = vendor.clone();
        let broker = Broker::start(&vendor.broker(), move |ask| {
            let Ask::Redeem(redeem) = &ask else { panic!("{ask:?}") };
            let bytes = prost::Message::encode_to_vec(redeem.registration.as_ref().unwrap());
            let said = tunnel_certs::statement::registration::open(&bytes).unwrap().registration;
            let own = crate::keys::PublicPair { cluster: said.cluster_key, sealing: said.sealing_key };
            let swapped = crate::keys::PublicPair { cluster: ed25519().public().clone(), ..own.clone() };
            let entry =
                if forged { liar.entry(&own, 1).make(&ed25519()).unwrap() } else { liar.signed(&swapped, 1) };
            let issued = issued(&liar, &redeem.csr);
            Answer::Say(Reply::Issued(v1::Issued { inventory_entry: Some(entry), ..issued }))
        })
        .await;
        let site = Site::with_bundle(&broker, &bundle);
        let client = site.start();
        let says = if forged { "trusted keys" } else { "other keys" };
        client.eventually_fails_with(says).await;
        assert_eq!((client.waiting(), client.takes_requests()), (None, false));
    }
}

#[tokio::test]
async fn whoever_is_no_broker_of_the_vendor_never_sees_the_token() {
    let vendor = Arc::new(Vendor::new());
    let strangers = [
        broker_of(&ca(CaKind::Mesh)),
        // A replica of the same vendor is no broker.
        {
            let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
            let leaf = vendor.certify_at(key.public(), &label(), now());
            tunnel_certs::credential::Credential::new(vec![leaf.into()], key).unwrap()
        },
    ];
    for stranger in strangers {
        let broker = Broker::start(&stranger, |_| Answer::Drop).await;
        let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
        let client = site.start();
        client.eventually_fails_with("handshake").await;
        let fetches_only = broker.asks.lock().iter().all(|ask| matches!(ask, Ask::TrustBundle(_)));
        assert!(fetches_only && client.view().state() == EnrollmentState::Redeeming);
    }
}

#[tokio::test]
async fn endless_malformed_and_wrong_answers_only_delay() {
    let answers: [fn() -> Answer; 6] = [
        || Answer::Bytes(vec![0xff; 64]),
        || Answer::Bytes(vec![0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]),
        || Answer::Bytes(vec![0, 0, 0, 0]),
        || Answer::Bytes(vec![0, 0]),
        || Answer::Say(Reply::Challenge(v1::Challenge { nonce: vec![1] })),
        || Answer::Say(Reply::Issued(v1::Issued::default())),
    ];
    let vendor = Arc::new(Vendor::new());
    let (mut honest, mut left) = (honest(&vendor), answers.into_iter());
    let broker = Broker::start(&vendor.broker(), move |ask| {
        left.next().map_or_else(|| honest(ask), |answer| answer())
    })
    .await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    assert_eq!(broker.redeems().len(), 7);
}

#[tokio::test]
async fn one_broker_that_says_no_does_not_keep_another_from_saying_yes() {
    let vendor = Arc::new(Vendor::new());
    let liar = Broker::start(&vendor.broker(), |_| Answer::Refuse(v1::EnrollRefusal::Banned)).await;
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let site = Site::new(&[&liar.address, &broker.address], "enrollment: {bundle: b}");
    site.put_bundle(&vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    assert_eq!((liar.redeems().len(), broker.redeems().len()), (1, 1));
}

#[tokio::test]
async fn no_broker_that_is_merely_busy_hides_what_another_says_or_another_way() {
    let vendor = Arc::new(Vendor::new());
    let used = Broker::start(&vendor.broker(), |_| Answer::Refuse(v1::EnrollRefusal::Used)).await;
    let (mut honest, open) = (honest(&vendor), Arc::new(AtomicBool::new(false)));
    let opened = open.clone();
    let busy = Broker::start(&vendor.broker(), move |ask| match ask {
        Ask::Join(_) if opened.load(Ordering::SeqCst) => honest(ask),
        _ => Answer::Refuse(v1::EnrollRefusal::Busy),
    })
    .await;
    let site =
        Site::new(&[&used.address, &busy.address], "enrollment: {bundle: b, serviceAccountToken: token}");
    site.put_bundle(&vendor.bundle(TokenKind::Replica));
    std::fs::write(site.path("token"), "e30.e30.c2ln").unwrap();
    let client = site.start();
    client
        .eventually("both are said", |view| {
            view.last_error.contains("was used before") && view.last_error.contains("busy")
        })
        .await;
    open.store(true, Ordering::SeqCst);
    client.eventually("the other way leads there", |_| client.has_certificate()).await;
}

fn p256() -> SigningKey {
    SigningKey::generate(Algorithm::P256).unwrap()
}
