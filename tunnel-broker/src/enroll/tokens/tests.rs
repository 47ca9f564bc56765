//! Tokens as administrators make, list and revoke them.

use tunnel_protos::operators::TokenState::{Confirmed, Expired, Open, Redeemed, Revoked};

use super::*;
use crate::enroll::testing::{Bench, Client, DAY, HOUR, NOW, Ticket, alice, label};

async fn create(bench: &Bench, ask: operators::CreateTokenRequest) -> Result<operators::Token, AdminError> {
    bench.enroll.create_token(ask, &alice(), NOW).await
}

async fn state(bench: &Bench, ticket: &Ticket, now: UnixMillis) -> TokenState {
    let all = bench.enroll.list_tokens(now).await.unwrap();
    all.iter().find(|token| token.id == ticket.id.as_str()).unwrap().state()
}

#[tokio::test]
async fn making_a_token_known_again_changes_nothing() {
    let bench = Bench::new().await;
    let ticket = bench.ticket(TokenKind::Cluster, label('a')).await;
    let again =
        bench.enroll.create_token(ticket.ask("acme/prod"), &"bob".parse().unwrap(), NOW.plus(HOUR)).await;
    let again = again.unwrap();
    assert_eq!((again.created_by.as_str(), again.created_ms, again.state()), ("alice", NOW.0, Open));
    assert_eq!(bench.enroll.list_tokens(NOW).await.unwrap(), [again]);
}

#[tokio::test]
async fn an_id_or_a_label_stands_for_one_thing() {
    let bench = Bench::new().await;
    let ticket = bench.ticket(TokenKind::Cluster, label('a')).await;
    let other_secret =
        operators::CreateTokenRequest { broker_secret_sha256: vec![1; 32], ..ticket.ask("acme/prod") };
    let other_kind = Ticket { kind: TokenKind::Replica, ..ticket.clone() }.ask("acme/prod");
    let other_end = Ticket { expires: ticket.expires.plus(HOUR), ..ticket.clone() }.ask("acme/prod");
    let fresh = Ticket { id: TokenId::from_random([5; 16]), ..ticket.clone() };
    for ask in [other_secret, other_kind, other_end, fresh.ask("acme/other")] {
        assert!(matches!(create(&bench, ask).await, Err(AdminError::Conflict(_))));
    }
    assert!(create(&bench, fresh.ask("acme/prod")).await.is_ok(), "a cluster may have several");
    bench.publish(label('b'), &Client::new());
    let foreign = Ticket { id: TokenId::from_random([6; 16]), label: label('b'), ..ticket };
    assert!(matches!(create(&bench, foreign.ask("acme/other")).await, Err(AdminError::Conflict(_))));
}

#[tokio::test]
async fn tokens_outside_their_grammar_are_refused() {
    let bench = Bench::new().await;
    let honest = Ticket { expires: NOW.plus(DAY), ..bench.ticket(TokenKind::Cluster, label('a')).await };
    let spoil: [fn(&mut operators::Token); 8] = [
        |token| token.id.clear(),
        |token| token.id.make_ascii_uppercase(),
        |token| token.kind = 0,
        |token| token.kind = 9,
        |token| token.cluster = "acme".to_owned(),
        |token| token.label = "k3v7".to_owned(),
        |token| token.expires_ms = NOW.0,
        |token| token.expires_ms = NOW.plus(DAY * 31).0,
    ];
    for spoil in spoil {
        let mut ask = honest.ask("acme/prod");
        spoil(ask.token.as_mut().unwrap());
        assert!(matches!(create(&bench, ask).await, Err(AdminError::Malformed(_))));
    }
    let short =
        operators::CreateTokenRequest { broker_secret_sha256: vec![0; 31], ..honest.ask("acme/prod") };
    let none = operators::CreateTokenRequest { token: None, ..honest.ask("acme/prod") };
    for ask in [short, none] {
        assert!(matches!(create(&bench, ask).await, Err(AdminError::Malformed(_))));
    }
}

#[tokio::test]
async fn a_token_goes_from_open_to_confirmed() {
    let bench = Bench::new().await;
    let (ticket, client) = (bench.ticket(TokenKind::Cluster, label('a')).await, Client::new());
    assert_eq!(state(&bench, &ticket, NOW).await, Open);
    assert_eq!(state(&bench, &ticket, ticket.expires).await, Expired);
    bench.redeem(ticket.redeem(&client), NOW).await.unwrap();
    assert_eq!(state(&bench, &ticket, ticket.expires).await, Redeemed);
    bench.publish(label('a'), &Client::new());
    assert_eq!(state(&bench, &ticket, NOW).await, Redeemed, "another's keys confirm nothing");
    bench.publish(label('a'), &client);
    assert_eq!(state(&bench, &ticket, NOW).await, Confirmed);
    bench.publish(label('a'), &Client::new());
    assert_eq!(state(&bench, &ticket, NOW).await, Confirmed, "keys may be replaced later");
    bench.enroll.revoke_token(ticket.id.as_str(), &alice(), NOW).await.unwrap();
    assert_eq!(state(&bench, &ticket, NOW).await, Revoked);
}

#[tokio::test]
async fn tokens_are_listed_newest_first_survive_a_restart_and_are_forgotten_30_days_after_their_end() {
    let mut bench = Bench::new().await;
    let old = bench.ticket(TokenKind::Replica, label('a')).await;
    let new = Ticket { id: TokenId::from_random([5; 16]), expires: NOW.plus(DAY * 9), ..old.clone() };
    bench.enroll.create_token(new.ask("acme/prod"), &alice(), NOW.plus(HOUR)).await.unwrap();
    bench.restart().await;
    let ids = async |bench: &Bench| {
        let all = bench.enroll.list_tokens(NOW).await.unwrap();
        all.into_iter().map(|token| token.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&bench).await, [new.id.to_string(), old.id.to_string()]);
    bench.enroll.tidy(NOW.plus(DAY * 34)).await.unwrap();
    assert_eq!(ids(&bench).await, [new.id.to_string()]);
}

#[tokio::test]
async fn revoking_is_idempotent_and_needs_a_token() {
    let bench = Bench::new().await;
    let ticket = bench.ticket(TokenKind::Replica, label('a')).await;
    for _ in 0..2 {
        let revoked = bench.enroll.revoke_token(ticket.id.as_str(), &alice(), NOW).await.unwrap();
        assert_eq!(revoked.state(), Revoked);
    }
    let unknown = bench.enroll.revoke_token(&"b".repeat(26), &alice(), NOW).await;
    assert!(matches!(unknown, Err(AdminError::Unknown(_))));
    assert!(matches!(bench.enroll.revoke_token("x", &alice(), NOW).await, Err(AdminError::Malformed(_))));
}
