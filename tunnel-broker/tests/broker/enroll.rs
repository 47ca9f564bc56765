//! Replicas that come without a certificate: real TLS on loopback, from a token to a tunnel.

use std::{sync::Arc, time::Duration};

use prost::Message;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tunnel_certs::{
    credential::Credential,
    enrollment::Secret,
    identity::Role,
    key::{Algorithm, SigningKey},
    reissue, tls,
};
use tunnel_protos::{
    TokenId,
    v1::{self, EnrollRefusal, EnrollReply, EnrollRequest, TokenKind, enroll_reply, enroll_request::Body},
};
use tunnel_transport::frame;

use crate::{
    World, in_time,
    operator::all,
    replica::{Replica, Script},
    vendor::{label, now},
};

const CAP: usize = 64 * 1024;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A connection that enrolls.
struct Client(TlsStream<TcpStream>);

/// A token that the broker knows, and its secret.
struct Ticket {
    id: TokenId,
    secret: Secret,
}

impl Client {
    async fn connect(world: &World) -> Self {
        Self::dial(world, "broker.tunnel.example").await.unwrap()
    }

    async fn dial(world: &World, host: &str) -> std::io::Result<Self> {
        let config = tls::enroll_client(world.vendor.verifier()).unwrap();
        let tcp = TcpStream::connect(world.addresses.tcp).await?;
        let name = ServerName::try_from(host.to_owned()).unwrap();
        in_time("handshake", TlsConnector::from(config).connect(name, tcp)).await.map(Self)
    }

    async fn say(&mut self, body: Body) {
        let frame = frame::encode(&EnrollRequest { body: Some(body) }, CAP).unwrap();
        self.0.write_all(&frame).await.unwrap();
    }

    async fn ask(&mut self, body: Body) -> enroll_reply::Body {
        self.say(body).await;
        let length = in_time("answer", self.0.read_u32()).await.unwrap();
        let mut reply = vec![0; length as usize];
        in_time("answer", self.0.read_exact(&mut reply)).await.unwrap();
        EnrollReply::decode(&reply[..]).unwrap().body.unwrap()
    }

    async fn redeem(&mut self, ticket: &Ticket, key: &SigningKey) -> Result<v1::Issued, EnrollRefusal> {
        issued(self.ask(ticket.redeem(key)).await)
    }
}

impl Ticket {
    /// Makes a token of kind `replica` known, as administrators do, by the database itself.
    async fn known(world: &World) -> Self {
        let ticket =
            Self { id: TokenId::from_random(tunnel_certs::crypto::random()), secret: Secret::random() };
        let path = world.state_dir().join("broker.sqlite");
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        let insert = sqlx::query(
            "INSERT INTO tokens (id, kind, cluster, label, secret_sha256, expires_ms, created_by, created_ms) \
             VALUES ($1, $2, 'acme/prod', $3, $4, $5, 'alice', $6)",
        )
        .bind(ticket.id.as_str())
        .bind(i64::from(i32::from(TokenKind::Replica)))
        .bind(label('a').as_str())
        .bind(ticket.secret.broker_secret().sha256().to_vec())
        .bind(now().plus(DAY).0)
        .bind(now().0);
        insert.execute(&pool).await.unwrap();
        pool.close().await;
        ticket
    }

    fn redeem(&self, key: &SigningKey) -> Body {
        Body::Redeem(v1::Redeem {
            token_id: self.id.to_string(),
            broker_secret: self.secret.broker_secret().as_bytes().to_vec(),
            csr: key.csr().unwrap(),
            ..Default::default()
        })
    }
}

fn issued(body: enroll_reply::Body) -> Result<v1::Issued, EnrollRefusal> {
    match body {
        enroll_reply::Body::Issued(issued) => Ok(issued),
        enroll_reply::Body::Refused(refused) => Err(refused.reason()),
        other => panic!("{other:?}"),
    }
}

fn credential(issued: &v1::Issued, key: Arc<SigningKey>) -> Credential {
    Credential::new(vec![issued.certificate.clone().into()], key).unwrap()
}

fn p256() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(Algorithm::P256).unwrap())
}

#[tokio::test]
async fn a_token_becomes_a_certificate_and_the_certificate_a_tunnel() {
    let world = World::issuing(|_| {}).await;
    let (ticket, key) = (Ticket::known(&world).await, p256());
    let mut client = Client::connect(&world).await;
    let shown = client.0.get_ref().1.peer_certificates().unwrap().to_vec();
    assert!(world.vendor.verifier().verify(&shown, Role::Broker, now()).is_ok());
    let issued = client.redeem(&ticket, &key).await.unwrap();
    assert!(issued.trust_bundle.is_some());
    let script = Script { credential: Some(credential(&issued, key)), ..Default::default() };
    let replica = Replica::attach(&world, script).await;
    assert_eq!(replica.tunnel.close_reason(), None);
}

#[tokio::test]
async fn a_lost_answer_and_a_restart_cost_nothing_but_another_ask() {
    let mut world = World::issuing(|_| {}).await;
    let (ticket, key) = (Ticket::known(&world).await, p256());
    let mut lost = Client::connect(&world).await;
    let first = lost.redeem(&ticket, &key).await.unwrap();
    world.restart().await;
    let second = Client::connect(&world).await.redeem(&ticket, &key).await.unwrap();
    let identity = |issued| credential(issued, Arc::clone(&key)).identity().unwrap();
    assert_eq!(identity(&first), identity(&second));
    let stranger = Client::connect(&world).await.redeem(&ticket, &p256()).await;
    assert_eq!(stranger.unwrap_err(), EnrollRefusal::Used);
}

#[tokio::test]
async fn one_of_two_who_race_has_the_token() {
    let world = World::issuing(|_| {}).await;
    let (ticket, keys) = (Ticket::known(&world).await, [p256(), p256()]);
    let (mut one, mut other) = (Client::connect(&world).await, Client::connect(&world).await);
    let results = tokio::join!(one.redeem(&ticket, &keys[0]), other.redeem(&ticket, &keys[1]));
    match results {
        (Ok(_), Err(refusal)) | (Err(refusal), Ok(_)) => assert_eq!(refusal, EnrollRefusal::Used),
        both => panic!("{both:?}"),
    }
}

#[tokio::test]
async fn a_certificate_that_ran_out_is_replaced_over_the_same_door() {
    let world = World::issuing(|_| {}).await;
    let old = world.vendor.replica_for(label('a'), "r9", DAY);
    let mut client = Client::connect(&world).await;
    let certificate = old.certificate().to_vec();
    let enroll_reply::Body::Challenge(challenge) =
        client.ask(Body::Challenge(v1::ChallengeRequest { certificate })).await
    else {
        panic!("no challenge")
    };
    let (key, nonce) = (p256(), challenge.nonce.try_into().unwrap());
    let csr = key.csr().unwrap();
    let signature = reissue::sign(old.key(), &nonce, &csr).unwrap();
    let issued = issued(client.ask(Body::Reissue(v1::Reissue { signature, csr })).await).unwrap();
    assert_eq!(credential(&issued, key).identity().unwrap(), old.identity().unwrap());
}

#[tokio::test]
async fn enrollment_comes_by_any_name_or_none() {
    let world = World::issuing(|_| {}).await;
    for host in ["127.0.0.1", "api.tunnel.example", "elsewhere.example"] {
        let mut client = Client::dial(&world, host).await.unwrap();
        let answer = client.ask(Body::TrustBundle(v1::FetchTrustBundle {})).await;
        assert!(matches!(answer, enroll_reply::Body::TrustBundle(_)), "{host}");
    }
}

#[tokio::test]
async fn a_broker_without_a_ca_issues_nothing_and_says_so_at_once() {
    let world = World::start().await;
    assert!(Client::dial(&world, "broker.tunnel.example").await.is_err());
}

#[tokio::test]
async fn strangers_hold_few_connections_and_not_for_long() {
    let limit = Duration::from_millis(300);
    let world = World::issuing(|config| {
        config.enroll.connections = 1;
        config.limits.connections.hello_timeout = limit;
    })
    .await;
    let mut hello = Vec::new();
    let config = tls::enroll_client(world.vendor.verifier()).unwrap();
    let name = ServerName::try_from("broker.tunnel.example").unwrap();
    rustls::ClientConnection::new(config, name).unwrap().write_tls(&mut hello).unwrap();
    let knock = async || {
        let mut stream = TcpStream::connect(world.addresses.tcp).await.unwrap();
        stream.write_all(&hello).await.unwrap();
        stream
    };
    // The first waits in its handshake; the broker's own first flight shows that it has its place.
    let mut first = knock().await;
    first.read_exact(&mut [0; 5]).await.unwrap();
    assert_eq!(all(knock().await).await, [21, 3, 3, 0, 2, 2, 80], "internal error: come again");
    in_time("end of the first", first.read_to_end(&mut Vec::new())).await.unwrap();
    let free = async {
        loop {
            if let Ok(client) = Client::dial(&world, "broker.tunnel.example").await {
                return client;
            }
        }
    };
    let mut later = in_time("a free place", free).await;
    assert!(matches!(
        later.ask(Body::TrustBundle(v1::FetchTrustBundle {})).await,
        enroll_reply::Body::TrustBundle(_)
    ));
}

#[tokio::test]
async fn a_hostile_frame_ends_the_connection_and_no_other() {
    let world = World::issuing(|_| {}).await;
    let (mut hostile, mut honest) = (Client::connect(&world).await, Client::connect(&world).await);
    hostile.0.write_all(&[0xff; 64]).await.unwrap();
    in_time("end", hostile.0.read_to_end(&mut Vec::new())).await.unwrap();
    let answer = honest.ask(Body::TrustBundle(v1::FetchTrustBundle {})).await;
    assert!(matches!(answer, enroll_reply::Body::TrustBundle(_)));
}
