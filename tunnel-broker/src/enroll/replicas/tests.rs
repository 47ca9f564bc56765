//! Renewal and the list of replicas.

use tunnel_certs::{key::Signer, verify::Summary};
use tunnel_protos::v1::TokenKind;

use super::*;
use crate::enroll::{
    Banned,
    testing::{Bench, Client, DAY, HOUR, NOW, alice, identity, label, p256},
};

fn id(name: &str) -> ReplicaId {
    name.parse().unwrap()
}

fn page(label: &str, page_size: u32, page_token: &str) -> operators::ListReplicasRequest {
    operators::ListReplicasRequest { label: label.to_owned(), page_size, page_token: page_token.to_owned() }
}

#[tokio::test]
async fn renewal_keeps_the_identity_and_takes_the_new_key() {
    let bench = Bench::new().await;
    let (key, now) = (p256(), NOW.plus(HOUR));
    let renewed = bench.enroll.renew(&key.csr().unwrap(), label('a'), &id("r1"), now).await.unwrap();
    let summary = Summary::read(&renewed).unwrap();
    assert_eq!(summary.names, ["spiffe://vendor/v1/replica/k3v7aaaaaa/r1"]);
    assert_eq!((summary.key.as_ref(), summary.not_after), (Some(key.public()), now.plus(DAY)));
    let listed = bench.enroll.replicas(&page("", 0, "")).await.unwrap().replicas;
    assert_eq!((listed.len(), listed[0].not_after_ms), (1, now.plus(DAY).0));
}

#[tokio::test]
async fn renewal_is_refused_to_the_banned_and_without_a_key() {
    let bench = Bench::new().await;
    let renew = async |csr: &[u8]| bench.enroll.renew(csr, label('a'), &id("r1"), NOW).await;
    assert!(matches!(renew(&[1, 2, 3]).await, Err(RenewError::Csr(_))));
    let ban = Banned { label: label('a'), replica: None, reason: String::new(), by: alice() };
    bench.enroll.ban(&ban, NOW).await.unwrap();
    assert!(matches!(renew(&p256().csr().unwrap()).await, Err(RenewError::Banned)));
}

#[tokio::test]
async fn the_life_of_certificates_is_as_configured_and_within_the_ca() {
    let bench = Bench::with(|config| config.leaf_life = HOUR).await;
    let ticket = bench.ticket(TokenKind::Replica, label('a')).await;
    let issued = bench.redeem(ticket.redeem(&Client::new()), NOW).await.unwrap();
    assert_eq!(Summary::read(&issued.certificate).unwrap().not_after, NOW.plus(HOUR));
    let last = bench.mesh.validity().1;
    let near = last.minus(HOUR / 2);
    let renewed = bench.enroll.renew(&p256().csr().unwrap(), label('a'), &id("r1"), near).await.unwrap();
    assert_eq!(Summary::read(&renewed).unwrap().not_after, last);
}

#[tokio::test]
async fn lists_come_in_pages_and_of_one_cluster() {
    let bench = Bench::new().await;
    for (c, name) in [('a', "r1"), ('a', "r2"), ('b', "r1"), ('b', "r3"), ('c', "r1")] {
        bench.enroll.note_seen(label(c), &id(name), NOW.plus(DAY), NOW);
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let reply = bench.enroll.replicas(&page("", 2, &token)).await.unwrap();
        seen.extend(reply.replicas.iter().map(|replica| format!("{}/{}", &replica.label[4..5], replica.id)));
        token = reply.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["a/r1", "a/r2", "b/r1", "b/r3", "c/r1"]);
    let of_one = bench.enroll.replicas(&page(label('b').as_str(), 0, "")).await.unwrap();
    assert_eq!((of_one.replicas.len(), of_one.next_page_token.as_str()), (2, ""));
    assert!(bench.enroll.replicas(&page("nonsense", 0, "")).await.is_err());
    assert!(bench.enroll.replicas(&page("", 0, "nonsense")).await.unwrap().next_page_token.is_empty());
}

#[tokio::test]
async fn what_was_seen_survives_a_restart_and_is_forgotten_30_days_after_its_end() {
    let mut bench = Bench::new().await;
    bench.enroll.note_seen(label('a'), &id("r1"), NOW.plus(DAY), NOW);
    bench.enroll.tidy(NOW).await.unwrap();
    bench.restart().await;
    let listed = bench.enroll.replicas(&page("", 0, "")).await.unwrap().replicas;
    assert_eq!((listed[0].last_seen_ms, listed[0].not_after_ms), (NOW.0, NOW.plus(DAY).0));
    bench.enroll.tidy(NOW.plus(DAY * 31)).await.unwrap();
    assert_eq!(bench.enroll.replicas(&page("", 0, "")).await.unwrap().replicas.len(), 1);
    bench.enroll.tidy(NOW.plus(DAY * 32)).await.unwrap();
    assert!(bench.enroll.replicas(&page("", 0, "")).await.unwrap().replicas.is_empty());
}

#[tokio::test]
async fn an_identity_that_is_taken_is_not_given_again() {
    let bench = Bench::new().await;
    let admit = async |key: &[u8]| {
        bench.enroll.store.admit_replica(label('a'), &id("r1"), key, (NOW, NOW.plus(DAY)), 9).await
    };
    assert_eq!(admit(b"one").await.unwrap(), Some(id("r1")));
    assert_eq!(admit(b"one").await.unwrap(), Some(id("r1")));
    assert!(admit(b"other").await.is_err());
}

#[tokio::test]
async fn a_restart_keeps_identities() {
    let mut bench = Bench::new().await;
    let (ticket, client) = (bench.ticket(TokenKind::Cluster, label('a')).await, Client::new());
    let before = bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    bench.restart().await;
    assert_eq!(identity(&before), identity(&bench.redeem(ticket.redeem(&client), NOW).await.unwrap()));
    let listed = bench.enroll.replicas(&page("", 0, "")).await.unwrap().replicas;
    assert!(identity(&before).ends_with(&listed[0].id));
}
