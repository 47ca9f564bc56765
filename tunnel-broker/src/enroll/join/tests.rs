//! Replicas that join with a service-account token of their cluster's own issuer.

use data_encoding::BASE64URL_NOPAD;
use tunnel_certs::key::{Signer, SigningKey};
use tunnel_protos::v1::{
    EnrollRefusal::{self, Banned, Busy, Malformed, Unproven},
    TokenKind,
    enroll_request::Body,
};

use super::*;
use crate::enroll::{
    Banned as Ban,
    testing::{Bench, Client, DAY, HOUR, NOW, alice, identity, label, p256},
};

const ISSUER: &str = "https://kubernetes.default.svc";
const SUBJECT: &str = "system:serviceaccount:postern:tunnel-client";

/// A cluster whose Kubernetes signs tokens.
struct Cluster {
    client: Client,
    issuer: SigningKey,
}

/// What a token says.
#[derive(Clone)]
struct Claims {
    audience: &'static str,
    issuer: &'static str,
    subject: &'static str,
    expires: UnixMillis,
}

impl Default for Claims {
    fn default() -> Self {
        let audience = "postern/vendor/k3v7aaaaaa";
        Self { audience, issuer: ISSUER, subject: SUBJECT, expires: NOW.plus(HOUR) }
    }
}

impl Cluster {
    /// Enrolled by a token and confirmed by the vendor.
    async fn enrolled(bench: &Bench) -> Self {
        let cluster = Self::redeemed(bench).await;
        bench.publish(label('a'), &cluster.client);
        cluster
    }

    async fn redeemed(bench: &Bench) -> Self {
        let issuer = p256();
        let facts = [("serviceAccountIssuer", ISSUER), ("serviceAccountSubject", SUBJECT)];
        let client = Client {
            jwks: jwks(&issuer),
            facts: facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Client::new()
        };
        let ticket = bench.ticket(TokenKind::Cluster, label('a')).await;
        bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
        Self { client, issuer }
    }

    fn token(&self, claims: &Claims) -> String {
        sign(&self.issuer, claims)
    }
}

fn sign(key: &SigningKey, claims: &Claims) -> String {
    let Claims { audience, issuer, subject, expires } = claims;
    let (from, until) = (NOW.seconds() - 60, expires.seconds());
    let header = r#"{"alg":"ES256","typ":"JWT","kid":"k1"}"#;
    let body = format!(
        r#"{{"aud":["{audience}"],"iss":"{issuer}","sub":"{subject}","exp":{until},"nbf":{from},"iat":{from}}}"#
    );
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let signed = format!("{}.{}", encode(header), encode(&body));
    let signature = fixed(&key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn jwks(key: &SigningKey) -> Vec<u8> {
    let point = key.public().raw();
    let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64URL_NOPAD.encode(half));
    format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"k1","x":"{x}","y":"{y}"}}]}}"#)
        .into_bytes()
}

/// The two integers of a DER signature, each in 32 bytes.
fn fixed(der: &[u8]) -> Vec<u8> {
    let (mut rest, mut fixed) = (&der[2..], Vec::new());
    for _ in 0..2 {
        let (integer, after) = rest[2..].split_at(rest[1].into());
        let digits: Vec<u8> = integer.iter().copied().skip_while(|digit| *digit == 0).collect();
        fixed.extend(vec![0; 32 - digits.len()]);
        fixed.extend(digits);
        rest = after;
    }
    fixed
}

fn ask(token: String, key: &SigningKey) -> Body {
    let csr = key.csr().unwrap();
    Body::Join(v1::JoinByServiceAccount { label: label('a').to_string(), token, csr })
}

async fn join(bench: &Bench, token: String) -> Result<v1::Issued, EnrollRefusal> {
    bench.ask(ask(token, &p256()), NOW).await
}

#[tokio::test]
async fn a_service_account_of_the_cluster_joins_and_keeps_its_identity() {
    let bench = Bench::new().await;
    let cluster = Cluster::enrolled(&bench).await;
    let (key, token) = (p256(), cluster.token(&Claims::default()));
    let first = bench.ask(ask(token.clone(), &key), NOW).await.unwrap();
    assert!(identity(&first).starts_with("spiffe://vendor/v1/replica/k3v7aaaaaa/"));
    let again = bench.ask(ask(token.clone(), &key), NOW).await.unwrap();
    assert_eq!(identity(&first), identity(&again));
    assert_ne!(identity(&first), identity(&join(&bench, token).await.unwrap()));
}

#[tokio::test]
async fn whatever_does_not_prove_it_gets_one_answer() {
    let bench = Bench::new().await;
    let cluster = Cluster::enrolled(&bench).await;
    let honest = Claims::default();
    for (what, token) in [
        (
            "another audience",
            cluster.token(&Claims { audience: "postern/vendor/k3v7bbbbbb", ..honest.clone() }),
        ),
        ("another vendor", cluster.token(&Claims { audience: "postern/other/k3v7aaaaaa", ..honest.clone() })),
        ("another issuer", cluster.token(&Claims { issuer: "https://evil", ..honest.clone() })),
        (
            "another account",
            cluster.token(&Claims { subject: "system:serviceaccount:x:y", ..honest.clone() }),
        ),
        ("an expired one", cluster.token(&Claims { expires: NOW.minus(HOUR), ..honest.clone() })),
        ("another key", sign(&p256(), &honest)),
        ("nothing", String::new()),
        ("noise", "a.b.c".to_owned()),
    ] {
        assert_eq!(join(&bench, token).await.unwrap_err(), Unproven, "{what}");
    }
    assert!(join(&bench, cluster.token(&honest)).await.is_ok());
}

#[tokio::test]
async fn a_key_set_counts_only_once_the_vendor_signed_the_keys_beside_it() {
    let bench = Bench::new().await;
    let cluster = Cluster::redeemed(&bench).await;
    let token = cluster.token(&Claims::default());
    assert_eq!(join(&bench, token.clone()).await.unwrap_err(), Unproven);
    bench.publish(label('a'), &Client::new());
    assert_eq!(join(&bench, token.clone()).await.unwrap_err(), Unproven);
    bench.publish(label('a'), &cluster.client);
    assert!(join(&bench, token).await.is_ok());
}

#[tokio::test]
async fn a_cluster_without_a_key_set_has_nobody_join() {
    let bench = Bench::new().await;
    let ticket = bench.ticket(TokenKind::Cluster, label('a')).await;
    let client = Client::new();
    bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    bench.publish(label('a'), &client);
    assert_eq!(join(&bench, sign(&p256(), &Claims::default())).await.unwrap_err(), Unproven);
}

#[tokio::test]
async fn a_key_set_outlives_the_token_that_brought_it() {
    let bench = Bench::new().await;
    let cluster = Cluster::enrolled(&bench).await;
    let later = NOW.plus(DAY * 40);
    bench.enroll.tidy(later).await.unwrap();
    assert!(bench.enroll.list_tokens(later).await.unwrap().is_empty());
    assert!(join(&bench, cluster.token(&Claims::default())).await.is_ok());
}

#[tokio::test]
async fn malformed_asks_are_told_apart_from_unproven_ones() {
    let bench = Bench::new().await;
    let cluster = Cluster::enrolled(&bench).await;
    let token = cluster.token(&Claims::default());
    let csr = p256().csr().unwrap();
    for bad in [
        v1::JoinByServiceAccount { label: "K3v7".to_owned(), token: token.clone(), csr: csr.clone() },
        v1::JoinByServiceAccount { label: label('a').to_string(), token: token.clone(), csr: vec![] },
        v1::JoinByServiceAccount { label: label('a').to_string(), token: "x".repeat(MAX_TOKEN + 1), csr },
    ] {
        assert_eq!(bench.ask(Body::Join(bad), NOW).await.unwrap_err(), Malformed);
    }
}

#[tokio::test]
async fn bans_hold_for_those_who_join() {
    let bench = Bench::new().await;
    let cluster = Cluster::enrolled(&bench).await;
    let (key, token) = (p256(), cluster.token(&Claims::default()));
    let issued = bench.ask(ask(token.clone(), &key), NOW).await.unwrap();
    let id = identity(&issued).rsplit('/').next().unwrap().parse().unwrap();
    let ban = |replica| Ban { label: label('a'), replica, reason: String::new(), by: alice() };
    bench.enroll.ban(&ban(Some(id)), NOW).await.unwrap();
    assert_eq!(bench.ask(ask(token.clone(), &key), NOW).await.unwrap_err(), Banned);
    assert!(join(&bench, token.clone()).await.is_ok(), "others of the cluster go on");
    bench.enroll.ban(&ban(None), NOW).await.unwrap();
    assert_eq!(join(&bench, token).await.unwrap_err(), Banned);
    assert_eq!(join(&bench, "x".to_owned()).await.unwrap_err(), Unproven, "strangers do not hear of bans");
}

#[tokio::test]
async fn the_key_of_a_banned_replica_is_never_another_replicas() {
    let bench = Bench::new().await;
    let cluster = Cluster::enrolled(&bench).await;
    let (banned, other) = (p256(), p256());
    let join = async |key, now: UnixMillis| {
        let token = cluster.token(&Claims { expires: now.plus(HOUR), ..Claims::default() });
        bench.ask(ask(token, key), now).await
    };
    let issued = join(&banned, NOW).await.unwrap();
    let id = identity(&issued).rsplit('/').next().unwrap().parse().unwrap();
    let before = identity(&join(&other, NOW).await.unwrap());
    let ban = Ban { label: label('a'), replica: Some(id), reason: String::new(), by: alice() };
    bench.enroll.ban(&ban, NOW).await.unwrap();
    let later = NOW.plus(DAY * 60);
    bench.enroll.tidy(later).await.unwrap();
    assert_eq!(join(&banned, later).await.unwrap_err(), Banned);
    assert_ne!(identity(&join(&other, later).await.unwrap()), before, "others are forgotten");
}

#[tokio::test]
async fn one_cluster_has_a_bound_of_replicas() {
    let bench = Bench::new().await;
    let cluster = Cluster::enrolled(&bench).await;
    let times = (NOW, NOW.plus(HOUR));
    for n in 1..MOST_REPLICAS {
        let id = format!("r{n}").parse().unwrap();
        let admitted =
            bench.enroll.store.admit_replica(label('a'), &id, &n.to_be_bytes(), times, u32::MAX).await;
        assert!(admitted.unwrap().is_some());
    }
    let token = cluster.token(&Claims::default());
    assert_eq!(join(&bench, token.clone()).await.unwrap_err(), Busy);
    let later = NOW.plus(HOUR + HOUR);
    let fresh = cluster.token(&Claims { expires: later.plus(HOUR), ..Claims::default() });
    assert!(
        bench.ask(ask(fresh, &p256()), later).await.is_ok(),
        "those whose certificates ended do not count"
    );
}
