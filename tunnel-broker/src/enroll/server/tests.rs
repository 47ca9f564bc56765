//! Conversations over a pipe in memory: what strangers may send, and how much of it.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use prost::Message;
use tokio::io::DuplexStream;
use tunnel_protos::v1::{self, EnrollRefusal, EnrollRequest, TokenKind, enroll_reply, enroll_request::Body};

use super::*;
use crate::enroll::testing::{Bench, Client, label};

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

fn server(bench: &Bench) -> EnrollServer {
    EnrollServer::new(Arc::clone(&bench.enroll), ASK)
}

fn ask(body: Body) -> Vec<u8> {
    frame::encode(&EnrollRequest { body: Some(body) }, FRAME_CAP).unwrap().to_vec()
}

fn fetch() -> Vec<u8> {
    ask(Body::TrustBundle(v1::FetchTrustBundle {}))
}

/// What the server answers to these bytes until it or the end of the bytes ends the conversation.
async fn answers(server: &EnrollServer, sent: &[u8]) -> (Vec<EnrollReply>, Result<(), ConversationError>) {
    let (mut near, mut far) = tokio::io::duplex(1 << 20);
    near.write_all(sent).await.unwrap();
    near.shutdown().await.unwrap();
    let ended = server.converse(&mut far, PEER).await;
    drop(far);
    (received(near).await, ended)
}

async fn received(mut near: DuplexStream) -> Vec<EnrollReply> {
    let mut said = Vec::new();
    near.read_to_end(&mut said).await.unwrap();
    let (mut buffer, mut replies) = (BytesMut::from(&said[..]), Vec::new());
    while let Some(reply) = frame::decode(&mut buffer, FRAME_CAP).unwrap() {
        replies.push(EnrollReply::decode(reply).unwrap());
    }
    assert!(buffer.is_empty(), "half an answer");
    replies
}

fn reason(reply: &EnrollReply) -> Option<EnrollRefusal> {
    match reply.body.as_ref().unwrap() {
        enroll_reply::Body::Refused(refused) => Some(refused.reason()),
        _ => None,
    }
}

#[tokio::test]
async fn a_connection_has_four_asks() {
    let bench = Bench::new().await;
    let (replies, ended) = answers(&server(&bench), &fetch().repeat(6)).await;
    assert!(ended.is_ok());
    assert_eq!(replies.len(), MAX_ASKS);
    let bundle = bench.trust.borrow().envelope.clone();
    assert!(replies.iter().all(|reply| reply.body == Some(enroll_reply::Body::TrustBundle(bundle.clone()))));
}

#[tokio::test]
async fn what_is_no_ask_is_answered_once_and_ends_it() {
    let bench = Bench::new().await;
    let unknown_arm = [&[0, 0, 0, 3, 0xd2, 0x01, 0][..], &fetch()].concat();
    let with_unknown_field = {
        let mut message =
            EnrollRequest { body: Some(Body::TrustBundle(v1::FetchTrustBundle {})) }.encode_to_vec();
        message.extend([0x98, 0x06, 1]);
        [&[0, 0, 0, u8::try_from(message.len()).unwrap()], &message[..]].concat()
    };
    for hostile in [&[0, 0, 0, 0][..], &[0, 0, 0, 2, 0xff, 0xff], &unknown_arm, &with_unknown_field] {
        let sent = [hostile, &fetch()].concat();
        let (replies, ended) = answers(&server(&bench), &sent).await;
        assert!(ended.is_ok(), "{hostile:?}");
        assert_eq!(replies.len(), 1, "{hostile:?}");
        assert_eq!(reason(&replies[0]), Some(EnrollRefusal::Malformed), "{hostile:?}");
    }
}

#[tokio::test]
async fn a_frame_beyond_the_cap_ends_it_before_its_bytes_come() {
    let bench = Bench::new().await;
    for length in [0x0001_0001_u32, u32::MAX] {
        let (replies, ended) = answers(&server(&bench), &length.to_be_bytes()).await;
        assert!(matches!(ended, Err(ConversationError::Frame(_))), "{length}");
        assert!(replies.is_empty());
    }
}

#[tokio::test]
async fn half_an_ask_is_not_answered() {
    let bench = Bench::new().await;
    let whole = fetch();
    let (replies, ended) = answers(&server(&bench), &[&whole[..], &whole[..3]].concat()).await;
    assert_eq!(replies.len(), 1);
    assert!(matches!(ended, Err(ConversationError::Io(_))));
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let bench = Bench::new().await;
    let server = server(&bench);
    let (_near, mut far) = tokio::io::duplex(64);
    // From here on nothing but the pipe is waited for.
    tokio::time::pause();
    let began = Instant::now();
    let ended = server.converse(&mut far, PEER).await;
    assert!(matches!(ended, Err(ConversationError::Deadline)));
    assert!((ASK..ASK + Duration::from_secs(1)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_source_that_asks_too_often_is_put_off() {
    let bench = Bench::with(|config| config.asks_per_minute = 2).await;
    let server = server(&bench);
    let (replies, _) = answers(&server, &fetch().repeat(4)).await;
    assert_eq!(replies.iter().map(reason).collect::<Vec<_>>(), [None, None, Some(EnrollRefusal::Busy)]);
}

#[tokio::test]
async fn redemptions_past_the_cap_are_put_off_and_reading_goes_on() {
    let bench = Bench::with(|config| config.concurrent = 0).await;
    let ticket = bench.ticket(TokenKind::Replica, label('a')).await;
    let redeem = ask(Body::Redeem(ticket.redeem(&Client::new())));
    let (replies, _) = answers(&server(&bench), &[redeem, fetch()].concat()).await;
    assert_eq!(replies.iter().map(reason).collect::<Vec<_>>(), [Some(EnrollRefusal::Busy), None]);
}

/// Asks that are honest in parts: whatever decodes at all must be answered, and never by a certificate.
fn hostile_ask() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..80);
    let body = prop_oneof![
        ("[a-z2-7]{0,27}", bytes(), bytes(), bytes()).prop_map(|(token_id, broker_secret, mac, csr)| {
            Body::Redeem(v1::Redeem { token_id, broker_secret, registration: None, mac, csr })
        }),
        ("[a-z2-7]{9,11}", ".{0,80}", bytes())
            .prop_map(|(label, token, csr)| Body::Join(v1::JoinByServiceAccount { label, token, csr })),
        bytes().prop_map(|certificate| Body::Challenge(v1::ChallengeRequest { certificate })),
        (bytes(), bytes()).prop_map(|(signature, csr)| Body::Reissue(v1::Reissue { signature, csr })),
    ];
    body.prop_map(ask)
}

fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    let framed = prop::collection::vec(any::<u8>(), 0..200)
        .prop_map(|message| [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat());
    let spoiled = (hostile_ask(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut ask, at, by)| {
        let at = at.index(ask.len());
        ask[at] ^= by;
        ask
    });
    prop::collection::vec(prop_oneof![noise, framed, hostile_ask(), spoiled], 1..6)
        .prop_map(|all| all.concat())
}

#[test]
fn no_bytes_get_a_certificate_or_more_than_four_answers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = runtime.block_on(Bench::with(|config| config.asks_per_minute = u32::MAX));
    let server = server(&bench);
    proptest!(ProptestConfig::with_cases(200), |(sent in hostile_bytes())| {
        let (replies, _) = runtime.block_on(answers(&server, &sent));
        prop_assert!(replies.len() <= MAX_ASKS);
        prop_assert!(replies.iter().all(|reply| !matches!(reply.body, Some(enroll_reply::Body::Issued(_)))));
    });
}
