//! What a broker that was taken over can make of requests: nothing but delay.

use tunnel_certs::{issue::CaKind, seal};
use tunnel_protos::{
    GrantId, Label,
    v1::{ReceivedStatus, RequestState, SealedRequest},
};

use super::{
    certificates::granted,
    house::{House, HouseKeys, MINUTE, NOW, Operator, ca},
};
use crate::tunnels::Inbox;

#[tokio::test]
async fn forged_requests_prove_nothing_and_leave_nothing() {
    let house = House::new().await;
    let forger = Operator::new("ann", &ca(CaKind::Operator), house.keys.clone());
    assert_eq!(house.deliver(&forger.access(&["e.Admin/Get"], NOW)).await, ReceivedStatus::Unproven);
    nothing_left(&house);
}

#[tokio::test]
async fn altered_and_truncated_requests_cannot_be_opened() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    let mut altered = sent.sealed.clone();
    let mut bytes = altered.ciphertext.to_vec();
    bytes[7] ^= 1;
    altered.ciphertext = bytes.into();
    let mut truncated = sent.sealed.clone();
    truncated.ciphertext = truncated.ciphertext[..20].to_vec().into();
    for bad in [altered, truncated, SealedRequest::default()] {
        let status = house.requests.deliver(bad).await;
        assert!(matches!(status, ReceivedStatus::Unproven | ReceivedStatus::UnknownKey), "{status:?}");
    }
    nothing_left(&house);
}

#[tokio::test]
async fn parts_shifted_into_each_other_do_not_pass_for_a_known_request() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.ask(&sent).await;
    let mut shifted = sent.sealed.clone();
    shifted.enc.push(shifted.ciphertext[0]);
    shifted.ciphertext = shifted.ciphertext[1..].to_vec().into();
    assert_eq!(seal::envelope_id(&shifted), seal::envelope_id(&sent.sealed));
    assert_eq!(house.requests.deliver(shifted).await, ReceivedStatus::Unproven);
}

#[tokio::test]
async fn a_request_sealed_to_another_key_is_told_apart() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    let other = HouseKeys::new("k3v7aaaaaa");
    let sealed = seal::seal_request(&sent.envelope, &other.label, other.sealing.public()).unwrap();
    assert_eq!(house.requests.deliver(sealed).await, ReceivedStatus::UnknownKey);
    nothing_left(&house);
}

#[tokio::test]
async fn a_request_of_another_cluster_is_refused_under_our_label_and_theirs() {
    let house = House::new().await;
    let label: Label = "otheraaaaa".parse().unwrap();
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    let theirs = seal::seal_request(&sent.envelope, &label, house.keys.sealing.public()).unwrap();
    assert_ne!(house.requests.deliver(theirs.clone()).await, ReceivedStatus::Taken);
    let relabeled = SealedRequest { label: house.keys.label.to_string(), ..theirs };
    assert_eq!(house.requests.deliver(relabeled).await, ReceivedStatus::Unproven);
    nothing_left(&house);
}

#[tokio::test]
async fn a_replayed_envelope_gets_its_old_answer_and_changes_nothing() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.ask(&sent).await;
    let before = house.outcome(&sent);
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    assert_eq!(house.outcome(&sent), before);
    assert_eq!(house.view.doors().len(), 1);
}

#[tokio::test]
async fn refuses_the_same_id_in_another_envelope() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let sent = ann.access(&["e.Admin/Compact"], NOW);
    house.ask(&sent).await;
    let (mut wider, key) = ann.request(super::house::access(&["e.Admin/Get"], &["default"]), NOW);
    wider.id = sent.request.id;
    let second = ann.send((wider, key));
    assert_eq!(house.ask(&second).await, RequestState::Denied);
    assert_eq!(house.state(&sent), RequestState::Pending);
    assert!(house.grant(&sent).is_none());
}

#[tokio::test]
async fn the_same_signed_request_in_a_second_seal_gets_no_second_answer() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let sent = ann.access(&["e.Admin/Get"], NOW);
    house.ask(&sent).await;
    let again = ann.seal_again(&sent);
    assert_eq!(house.deliver(&again).await, ReceivedStatus::Known);
    assert!(house.outcome(&again).is_none());
    assert_eq!(house.view.doors().len(), 1);
}

#[tokio::test]
async fn a_certificate_request_delivered_twice_issues_once() {
    let house = House::new().await;
    let (grant, asked) = granted(&house).await;
    let first = house.outcome(&asked);
    assert_eq!(house.deliver(&asked).await, ReceivedStatus::Known);
    assert_eq!(house.outcome(&asked), first);
    let certificates = house.requests.list(true).iter().filter(|view| view.kind == "certificate").count();
    assert_eq!((certificates, house.outcome(&grant).unwrap().sequence), (1, 2));
}

#[tokio::test]
async fn a_replay_after_expiry_opens_nothing() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.wall.set(sent.request.expires);
    assert_eq!(house.ask(&sent).await, RequestState::Denied);
    assert!(house.grant(&sent).is_none());
}

#[tokio::test]
async fn a_request_from_the_future_is_refused() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW.plus(2 * MINUTE + MINUTE / 60));
    assert_eq!(house.ask(&sent).await, RequestState::Denied);
    // Refused is final: it does not come true by waiting.
    house.wall.set(NOW.plus(3 * MINUTE));
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    assert_eq!(house.state(&sent), RequestState::Denied);
}

#[tokio::test]
async fn reordered_requests_are_refused_not_guessed() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let grant = ann.access(&["e.Admin/Get"], NOW);
    let early = ann.certificate(GrantId::from(grant.request.id), NOW);
    assert_eq!(house.ask(&early).await, RequestState::Denied);
    assert_eq!(house.ask(&grant).await, RequestState::Approved);
}

#[tokio::test]
async fn a_withheld_withdrawal_still_ends_the_grant_when_it_comes() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let withheld = house.operator("ann").withdraw(grant.request.id, NOW);
    house.pass(20 * MINUTE).await;
    assert_eq!(house.ask(&withheld).await, RequestState::Done);
    assert_eq!(house.state(&grant), RequestState::Ended);
}

#[tokio::test]
async fn an_altered_acknowledgement_ends_no_delivery() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.ask(&sent).await;
    let mut forged = house.requests.outcomes()[0].clone();
    forged.ciphertext = vec![0; 8].into();
    house.requests.acknowledged(forged).await;
    assert!(house.outcome(&sent).is_some());
}

fn nothing_left(house: &House) {
    assert!(house.requests.list(true).is_empty());
    assert!(house.requests.outcomes().is_empty());
    assert!(house.view.doors().is_empty());
}
