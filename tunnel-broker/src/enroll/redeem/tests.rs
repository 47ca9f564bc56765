//! Every way to redeem a token, honest and not, on a real database.

use tokio::task::JoinSet;
use tunnel_protos::v1::EnrollRefusal::{self, Banned, Busy, Expired, Malformed, Unknown, Used};

use super::*;
use crate::enroll::{
    Banned as Ban,
    testing::{Bench, Client, DAY, MINUTE, NOW, Ticket, alice, identity, label},
};

async fn cluster(bench: &Bench) -> Ticket {
    bench.ticket(TokenKind::Cluster, label('a')).await
}

fn ban(replica: Option<ReplicaId>) -> Ban {
    Ban { label: label('a'), replica, reason: "stolen".to_owned(), by: alice() }
}

#[tokio::test]
async fn a_token_gives_a_certificate_the_bundle_and_the_entry() {
    let bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    let issued = bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    assert!(identity(&issued).starts_with("spiffe://vendor/v1/replica/k3v7aaaaaa/"), "{}", identity(&issued));
    assert_eq!(issued.trust_bundle, Some(bench.trust.borrow().envelope.clone()));
    assert_eq!(issued.inventory_entry, None);
    bench.publish(label('a'), &client);
    let again = bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    assert!(again.inventory_entry.is_some());
}

/// What is wrong with an ask, and the answer to it.
type Case = (&'static str, fn(&Ticket, &mut v1::Redeem), EnrollRefusal);

const CASES: &[Case] = &[
    ("another token", |_, ask| ask.token_id = "b".repeat(26), Unknown),
    ("another secret", |_, ask| ask.broker_secret = vec![0; 32], Unknown),
    (
        "the ends' secret",
        |ticket, ask| ask.broker_secret = ticket.secret.ends_secret().as_bytes().to_vec(),
        Unknown,
    ),
    ("no secret", |_, ask| ask.broker_secret.clear(), Malformed),
    ("a longer secret", |_, ask| ask.broker_secret.push(0), Malformed),
    ("no token id", |_, ask| ask.token_id.clear(), Malformed),
    ("a token id with a NUL", |_, ask| ask.token_id.replace_range(0..1, "\0"), Malformed),
    ("no certificate request", |_, ask| ask.csr.clear(), Malformed),
    ("a broken certificate request", |_, ask| ask.csr[40] ^= 1, Malformed),
    ("a certificate request of another key", |_, ask| ask.csr = Client::new().mesh.csr().unwrap(), Malformed),
    ("no registration", |_, ask| (ask.registration, ask.mac) = (None, Vec::new()), Malformed),
    ("no MAC", |_, ask| ask.mac.clear(), Malformed),
    ("a short MAC", |_, ask| ask.mac.truncate(31), Malformed),
    ("a MAC without a registration", |_, ask| ask.registration = None, Malformed),
    ("a broken signature", |_, ask| ask.registration.as_mut().unwrap().signatures[0].sig[0] ^= 1, Malformed),
    ("a registration of nobody", |_, ask| ask.registration.as_mut().unwrap().signatures.clear(), Malformed),
    (
        "a registration for another label",
        |ticket, ask| register(&Ticket { label: label('b'), ..ticket.clone() }, ask),
        Malformed,
    ),
    (
        "a registration for another token",
        |ticket, ask| register(&Ticket { id: TokenId::from_random([3; 16]), ..ticket.clone() }, ask),
        Malformed,
    ),
];

/// Replaces the registration of `ask` by a well-signed one that names what `ticket` says.
fn register(ticket: &Ticket, ask: &mut v1::Redeem) {
    let client = Client::new();
    let registration = ticket.registration(&client, ask.csr.clone()).make(&client.cluster).unwrap();
    ask.registration = Some(registration);
}

#[tokio::test]
async fn every_flaw_has_its_answer_and_leaves_the_token_open() {
    let bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    for (what, spoil, wanted) in CASES {
        let mut ask = ticket.redeem(&client);
        spoil(&ticket, &mut ask);
        assert_eq!(bench.redeem(ask, NOW).await.unwrap_err(), *wanted, "{what}");
    }
    assert!(bench.redeem(ticket.redeem(&client), NOW).await.is_ok());
}

#[tokio::test]
async fn a_replicas_token_takes_no_registration() {
    let bench = Bench::new().await;
    let ticket = bench.ticket(TokenKind::Replica, label('a')).await;
    let (client, as_cluster) = (Client::new(), Ticket { kind: TokenKind::Cluster, ..ticket.clone() });
    assert_eq!(bench.redeem(as_cluster.redeem(&client), NOW).await.unwrap_err(), Malformed);
    assert!(bench.redeem(ticket.redeem(&client), NOW).await.is_ok());
}

#[tokio::test]
async fn unknown_revoked_and_wrong_secrets_look_the_same() {
    let bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    bench.enroll.revoke_token(ticket.id.as_str(), &alice(), NOW).await.unwrap();
    let never = Ticket { id: TokenId::from_random([9; 16]), ..ticket.clone() };
    for ask in [ticket.redeem(&client), never.redeem(&client)] {
        assert_eq!(bench.redeem(ask, NOW).await.unwrap_err(), Unknown);
    }
    // Even its end is told only to whoever has the secret.
    let mut guess = ticket.redeem(&client);
    guess.broker_secret = vec![1; 32];
    assert_eq!(bench.redeem(guess, NOW.plus(DAY * 9)).await.unwrap_err(), Unknown);
}

#[tokio::test]
async fn a_token_ends_at_its_expiry_for_its_own_key_too() {
    let bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    let last = ticket.expires.minus(MINUTE);
    assert!(bench.redeem(ticket.redeem(&client), last).await.is_ok());
    assert_eq!(bench.redeem(ticket.redeem(&client), ticket.expires).await.unwrap_err(), Expired);
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_by_the_same_key_only() {
    let bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    let first = bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    let second = bench.redeem(ticket.redeem(&client), NOW.plus(MINUTE)).await.unwrap();
    assert_eq!(identity(&first), identity(&second));
    assert_eq!(bench.redeem(ticket.redeem(&Client::new()), NOW).await.unwrap_err(), Used);
    let thief = client.with_other_mesh_key();
    assert_eq!(bench.redeem(ticket.redeem(&thief), NOW).await.unwrap_err(), Used);
}

#[tokio::test]
async fn the_same_key_cannot_register_other_keys_later() {
    let bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    let other = Client { mesh: client.mesh, ..Client::new() };
    assert_eq!(bench.redeem(ticket.redeem(&other), NOW).await.unwrap_err(), Used);
}

#[tokio::test]
async fn a_crash_between_storing_and_answering_costs_the_client_nothing() {
    let mut bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    let presented = Presented::read(&ticket.redeem(&client)).ok().unwrap();
    let redemption = Redemption {
        key: presented.key.spki(),
        replica: "first".parse().unwrap(),
        registration: presented.registration.as_ref().map(|(_, _, registered)| registered.clone()),
        at: NOW,
        not_after: NOW.plus(DAY),
    };
    let stored = bench.enroll.store.redeem(&ticket.id, &redemption, |_| Ok::<_, ()>(())).await.unwrap();
    assert!(stored.is_ok());
    bench.restart().await;
    let issued = bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    assert!(identity(&issued).ends_with("/first"), "{}", identity(&issued));
    assert_eq!(bench.redeem(ticket.redeem(&Client::new()), NOW).await.unwrap_err(), Used);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_race_for_a_token_exactly_one_key_wins() {
    let bench = std::sync::Arc::new(Bench::new().await);
    let ticket = bench.ticket(TokenKind::Replica, label('a')).await;
    let mut race = JoinSet::new();
    for _ in 0..8 {
        let (bench, ask) = (std::sync::Arc::clone(&bench), ticket.redeem(&Client::new()));
        race.spawn(async move { bench.redeem(ask, NOW).await });
    }
    let results = race.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(|result| **result == Err(Used)).count(), 7);
}

#[tokio::test]
async fn whoever_is_banned_gets_nothing_until_the_ban_is_taken_back() {
    let bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    bench.enroll.ban(&ban(None), NOW).await.unwrap();
    assert_eq!(bench.redeem(ticket.redeem(&client), NOW).await.unwrap_err(), Banned);
    bench.enroll.unban(label('a'), None, &alice()).await.unwrap();
    let issued = bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    let id: ReplicaId = identity(&issued).rsplit('/').next().unwrap().parse().unwrap();
    bench.enroll.ban(&ban(Some(id)), NOW).await.unwrap();
    assert_eq!(bench.redeem(ticket.redeem(&client), NOW).await.unwrap_err(), Banned);
    // Another token does not help the same key.
    let more = bench.ticket(TokenKind::Replica, label('a')).await;
    assert_eq!(bench.redeem(more.redeem(&client), NOW).await.unwrap_err(), Banned);
}

#[tokio::test]
async fn without_a_ca_the_token_stays_open() {
    let bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    let other = Bench::new().await;
    bench.trust(2, &[other.mesh.certificate()]);
    assert_eq!(bench.redeem(ticket.redeem(&client), NOW).await.unwrap_err(), Busy);
    bench.trust(3, &[bench.mesh.certificate()]);
    assert!(bench.redeem(ticket.redeem(&Client::new()), NOW).await.is_ok());
}

#[tokio::test]
async fn what_a_cluster_registered_is_kept_with_its_mac() {
    let mut bench = Bench::new().await;
    let (ticket, client) = (cluster(&bench).await, Client::new());
    let ask = ticket.redeem(&client);
    bench.redeem(ask.clone(), NOW).await.unwrap();
    bench.restart().await;
    let of = tunnel_protos::operators::get_registration_request::Of::TokenId(ticket.id.to_string());
    let kept = bench.enroll.registration(Some(&of), NOW).await.unwrap();
    assert_eq!((&kept.registration, &kept.mac), (&ask.registration, &ask.mac));
    assert!(ticket.secret.ends_secret().check(&ask.registration.unwrap(), &kept.mac).is_ok());
}
