//! Certificates that ran out, and the proof of their keys.

use std::sync::Arc;

use tunnel_certs::{
    issue::{Authority, CaKind},
    key::{Signer, SigningKey},
};
use tunnel_protos::v1::{
    EnrollRefusal::{self, Banned, Malformed, Unproven},
    enroll_reply,
    enroll_request::Body,
};

use super::*;
use crate::enroll::{
    Banned as Ban,
    conversation::Conversation,
    testing::{Bench, DAY, HOUR, NOW, alice, answer, identity, label, p256, vendor},
};

/// A certificate of replica `r1` that was issued 2 h before `end`.
fn certificate(ca: &Authority, key: &SigningKey, end: UnixMillis) -> Vec<u8> {
    let id = "r1".parse().unwrap();
    let begin = end.minus(HOUR + HOUR);
    ca.issue_replica(key.public(), &vendor(), &label('a'), &id, HOUR + HOUR, begin).unwrap().to_vec()
}

/// Certificates may be of another CA than the one that issues now, as long as both are trusted.
async fn bench() -> (Bench, Authority) {
    let bench = Bench::new().await;
    let old = Authority::create(CaKind::Mesh, "vendor", Arc::new(p256()), NOW.minus(DAY * 100)).unwrap();
    bench.trust(2, &[old.certificate(), bench.mesh.certificate()]);
    (bench, old)
}

async fn challenge(
    conversation: &mut Conversation<'_>,
    certificate: &[u8],
) -> Result<[u8; 32], EnrollRefusal> {
    let ask = Body::Challenge(v1::ChallengeRequest { certificate: certificate.to_vec() });
    match conversation.answer(&ask, NOW).await.body.unwrap() {
        enroll_reply::Body::Challenge(challenge) => Ok(challenge.nonce.try_into().unwrap()),
        enroll_reply::Body::Refused(refused) => Err(refused.reason()),
        other => panic!("{other:?}"),
    }
}

async fn respond(
    conversation: &mut Conversation<'_>,
    nonce: &[u8; 32],
    old: &SigningKey,
    csr: Vec<u8>,
) -> Result<v1::Issued, EnrollRefusal> {
    let signature = reissue::sign(old, nonce, &csr).unwrap();
    answer(conversation.answer(&Body::Reissue(v1::Reissue { signature, csr }), NOW).await)
}

#[tokio::test]
async fn a_certificate_that_ran_out_is_replaced_for_whoever_has_its_key() {
    let (bench, ca) = bench().await;
    let key = p256();
    for end in [NOW.plus(HOUR), NOW.minus(HOUR), NOW.minus(DAY * 29)] {
        let mut conversation = Conversation::new(&bench.enroll);
        let nonce = challenge(&mut conversation, &certificate(&ca, &key, end)).await.unwrap();
        let fresh = p256();
        let issued = respond(&mut conversation, &nonce, &key, fresh.csr().unwrap()).await.unwrap();
        assert_eq!(identity(&issued), "spiffe://vendor/v1/replica/k3v7aaaaaa/r1");
        let summary = tunnel_certs::verify::Summary::read(&issued.certificate).unwrap();
        assert_eq!(summary.key.as_ref(), Some(fresh.public()));
    }
}

#[tokio::test]
async fn certificates_that_prove_nothing_are_not_challenged() {
    let (bench, ca) = bench().await;
    let key = p256();
    let stranger = Authority::create(CaKind::Mesh, "vendor", Arc::new(p256()), NOW.minus(DAY)).unwrap();
    let broker =
        ca.issue_broker(key.public(), &vendor(), &"b0".parse().unwrap(), DAY, NOW.minus(HOUR)).unwrap();
    for (what, certificate) in [
        ("too old", certificate(&ca, &key, NOW.minus(DAY * 31))),
        ("not yet valid", certificate(&ca, &key, NOW.plus(DAY))),
        ("of another CA", certificate(&stranger, &key, NOW.minus(HOUR))),
        ("of a broker", broker.to_vec()),
        ("of nobody", vec![0x30; 200]),
        ("none", Vec::new()),
    ] {
        let refused = challenge(&mut Conversation::new(&bench.enroll), &certificate).await;
        assert_eq!(refused, Err(Unproven), "{what}");
    }
}

#[tokio::test]
async fn another_key_another_nonce_and_another_request_prove_nothing() {
    let (bench, ca) = bench().await;
    let (key, csr) = (p256(), p256().csr().unwrap());
    let old = certificate(&ca, &key, NOW.minus(HOUR));
    let mut conversation = Conversation::new(&bench.enroll);
    challenge(&mut conversation, &old).await.unwrap();
    assert_eq!(respond(&mut conversation, &[0; 32], &key, csr.clone()).await.unwrap_err(), Unproven);
    let nonce = challenge(&mut conversation, &old).await.unwrap();
    assert_eq!(respond(&mut conversation, &nonce, &p256(), csr.clone()).await.unwrap_err(), Unproven);
    let nonce = challenge(&mut conversation, &old).await.unwrap();
    let signature = reissue::sign(&key, &nonce, &csr).unwrap();
    let swapped = v1::Reissue { signature, csr: p256().csr().unwrap() };
    let refused = answer(conversation.answer(&Body::Reissue(swapped), NOW).await);
    assert_eq!(refused.unwrap_err(), Unproven);
    let nonce = challenge(&mut conversation, &old).await.unwrap();
    assert_eq!(respond(&mut conversation, &nonce, &key, vec![1; 9]).await.unwrap_err(), Malformed);
}

#[tokio::test]
async fn a_challenge_is_good_for_one_answer_on_its_connection() {
    let (bench, ca) = bench().await;
    let (key, csr) = (p256(), p256().csr().unwrap());
    let old = certificate(&ca, &key, NOW.minus(HOUR));
    let mut conversation = Conversation::new(&bench.enroll);
    let nonce = challenge(&mut conversation, &old).await.unwrap();
    let mut another = Conversation::new(&bench.enroll);
    assert_eq!(respond(&mut another, &nonce, &key, csr.clone()).await.unwrap_err(), Unproven);
    assert!(respond(&mut conversation, &nonce, &key, csr.clone()).await.is_ok());
    assert_eq!(respond(&mut conversation, &nonce, &key, csr).await.unwrap_err(), Unproven);
}

#[tokio::test]
async fn a_banned_replica_hears_so_once_it_is_proven() {
    let (bench, ca) = bench().await;
    let (key, csr) = (p256(), p256().csr().unwrap());
    let ban =
        Ban { label: label('a'), replica: Some("r1".parse().unwrap()), reason: String::new(), by: alice() };
    bench.enroll.ban(&ban, NOW).await.unwrap();
    let mut conversation = Conversation::new(&bench.enroll);
    let old = certificate(&ca, &key, NOW.minus(HOUR));
    let nonce = challenge(&mut conversation, &old).await.unwrap();
    assert_eq!(respond(&mut conversation, &nonce, &key, csr).await.unwrap_err(), Banned);
}

#[tokio::test]
async fn who_was_left_behind_by_a_rotation_proves_the_key_that_our_books_have() {
    let bench = Bench::new().await;
    let gone = Authority::create(CaKind::Mesh, "vendor", Arc::new(p256()), NOW.minus(DAY * 100)).unwrap();
    let (key, thief, id) = (p256(), p256(), "r1".parse().unwrap());
    let end = NOW.minus(HOUR);
    let store = &bench.enroll.store;
    store.certify_replica(label('a'), &id, key.public().spki(), end).await.unwrap();
    let mut conversation = Conversation::new(&bench.enroll);
    let nonce = challenge(&mut conversation, &certificate(&gone, &key, end)).await.unwrap();
    let refused = respond(&mut conversation, &nonce, &thief, p256().csr().unwrap()).await;
    assert_eq!(refused.unwrap_err(), Unproven);
    let nonce = challenge(&mut conversation, &certificate(&gone, &key, end)).await.unwrap();
    let issued = respond(&mut conversation, &nonce, &key, p256().csr().unwrap()).await.unwrap();
    assert_eq!(identity(&issued), "spiffe://vendor/v1/replica/k3v7aaaaaa/r1");
    // Whoever stole the old CA can certify a key of his own, and go on with one that was.
    let forged = challenge(&mut conversation, &certificate(&gone, &thief, NOW.plus(HOUR))).await;
    assert_eq!(forged, Err(Unproven));
    let replaced = challenge(&mut conversation, &certificate(&gone, &key, NOW.plus(HOUR))).await;
    assert_eq!(replaced, Err(Unproven), "its key was replaced by the one before");
    let late = NOW.minus(DAY * 31);
    store.certify_replica(label('a'), &id, key.public().spki(), late).await.unwrap();
    let late = challenge(&mut conversation, &certificate(&gone, &key, NOW.minus(HOUR))).await;
    assert_eq!(late, Err(Unproven), "our books say when it ended");
}
