//! Registrations that replace keys, sent over a tunnel.

use tunnel_certs::statement::registration::Registration;
use tunnel_protos::v1::TokenKind;

use super::*;
use crate::enroll::testing::{Bench, Client, DAY, HOUR, NOW, label};

fn replacement(old: &Client, new: &Client, label: Label) -> Envelope {
    let registration = Registration {
        bundle_sha256: None,
        token: None,
        label,
        mesh_csr: new.mesh.csr().unwrap(),
        cluster_key: tunnel_certs::key::Signer::public(&new.cluster).clone(),
        sealing_key: *new.sealing.public(),
        jwks: Vec::new(),
        facts: Vec::new(),
    };
    registration.make_replacement(&new.cluster, &old.cluster).unwrap()
}

fn of(label: Label) -> Of {
    Of::Label(label.to_string())
}

#[tokio::test]
async fn the_newest_replacement_waits_for_the_administrator() {
    let mut bench = Bench::new().await;
    let old = Client::new();
    bench.publish(label('a'), &old);
    assert!(matches!(
        bench.enroll.registration(Some(&of(label('a'))), NOW).await,
        Err(AdminError::Unknown(_))
    ));
    let mut newest = None;
    for hours in 0..12 {
        let sent = replacement(&old, &Client::new(), label('a'));
        bench.enroll.store_replacement(label('a'), &sent, NOW.plus(HOUR * hours)).await.unwrap();
        newest = Some(sent);
    }
    bench.restart().await;
    let kept = bench.enroll.registration(Some(&of(label('a'))), NOW).await.unwrap();
    assert_eq!((kept.registration, kept.token, kept.mac.len()), (newest, None, 0));
}

#[tokio::test]
async fn a_replacement_needs_the_key_in_force_and_its_own_label() {
    let bench = Bench::new().await;
    let (old, new) = (Client::new(), Client::new());
    let honest = replacement(&old, &new, label('a'));
    let refused = bench.enroll.store_replacement(label('a'), &honest, NOW).await;
    assert!(matches!(refused, Err(ReplacementError::NoEntry)));
    bench.publish(label('a'), &old);
    bench.publish(label('b'), &old);
    let refused = bench.enroll.store_replacement(label('b'), &honest, NOW).await;
    assert!(matches!(refused, Err(ReplacementError::OtherLabel)));
    let stranger = replacement(&Client::new(), &new, label('a'));
    let refused = bench.enroll.store_replacement(label('a'), &stranger, NOW).await;
    assert!(matches!(refused, Err(ReplacementError::Open(_))));
    assert!(bench.enroll.store_replacement(label('a'), &honest, NOW).await.is_ok());
}

#[tokio::test]
async fn an_entry_that_ran_out_is_not_in_force() {
    let bench = Bench::new().await;
    let old = Client::new();
    bench.publish(label('a'), &old);
    let (sent, late) = (replacement(&old, &Client::new(), label('a')), NOW.plus(DAY * 91));
    let refused = bench.enroll.store_replacement(label('a'), &sent, late).await;
    assert!(matches!(refused, Err(ReplacementError::NoEntry)), "{refused:?}");
    assert!(bench.enroll.entry_of(label('a')).is_some());
    assert!(bench.enroll.entry_in_force(label('a'), late).is_none());
}

#[tokio::test]
async fn a_token_that_was_not_redeemed_has_no_registration() {
    let bench = Bench::new().await;
    let ticket = bench.ticket(TokenKind::Cluster, label('a')).await;
    for of in [Of::TokenId(ticket.id.to_string()), Of::TokenId("b".repeat(26)), of(label('a'))] {
        assert!(matches!(bench.enroll.registration(Some(&of), NOW).await, Err(AdminError::Unknown(_))));
    }
    for of in [None, Some(Of::TokenId("x".to_owned())), Some(Of::Label("x".to_owned()))] {
        assert!(matches!(bench.enroll.registration(of.as_ref(), NOW).await, Err(AdminError::Malformed(_))));
    }
}
