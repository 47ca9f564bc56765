//! The inventory entry: held until a person types its words, renewed without, forged in vain.

use std::sync::Arc;

use tunnel_certs::key::Signer;
use tunnel_protos::{
    approvers::EnrollmentState,
    v1::{self, TokenKind},
};

use crate::{
    approvers::ConfirmError,
    enrollment::{OfferError, testing::*},
    keys::PublicPair,
};

/// An enrolled client without an entry.
async fn enrolled() -> (Arc<Vendor>, Site, Running) {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let site = Site::with_bundle(&broker, &vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    (vendor, site, client)
}

#[tokio::test]
async fn requests_are_taken_only_once_an_approver_typed_the_words() {
    let (vendor, site, client) = enrolled().await;
    let entry = vendor.signed(&site.keys(), 1);
    client.entries.offer(entry.clone()).await.unwrap();
    let view = client.view();
    assert_eq!(
        (view.state(), view.entry_waits, client.takes_requests()),
        (EnrollmentState::EntryWaits, true, false)
    );
    assert!(!format!("{view:?}").contains(&words_of(&entry)), "the words are nowhere");
    client.confirm(&words_of(&entry)).await.unwrap();
    client.admitted().await;
    let view = client.view();
    assert_eq!((view.state(), view.entry_waits, view.entry_sequence), (EnrollmentState::Enrolled, false, 1));
    drop(client);
    let client = site.start();
    assert!(client.takes_requests(), "a restart remembers it");
    assert!(matches!(client.confirm(&words_of(&entry)).await, Err(ConfirmError::NothingWaits)));
}

#[tokio::test]
async fn wrong_words_confirm_nothing_and_run_out() {
    let (vendor, site, client) = enrolled().await;
    let entry = vendor.signed(&site.keys(), 1);
    client.entries.offer(entry.clone()).await.unwrap();
    let wrong = words_of(&vendor.signed(&site.keys(), 2));
    for _ in 0..5 {
        assert!(matches!(client.confirm(&wrong).await, Err(ConfirmError::WrongWords)));
    }
    assert!(matches!(client.confirm(&wrong).await, Err(ConfirmError::TooMany(_))));
    let right = client.confirm(&words_of(&entry)).await;
    assert!(
        matches!(right, Err(ConfirmError::TooMany(_))),
        "not even the right ones tell a guesser anything"
    );
    assert!(!client.takes_requests());
}

#[tokio::test]
async fn an_entry_that_waited_before_a_restart_has_to_come_again() {
    let (vendor, site, client) = enrolled().await;
    let entry = vendor.signed(&site.keys(), 1);
    client.entries.offer(entry.clone()).await.unwrap();
    drop(client);
    let client = site.start();
    assert_eq!((client.waiting(), client.takes_requests()), (None, false));
    client.entries.offer(entry.clone()).await.unwrap();
    client.confirm(&words_of(&entry)).await.unwrap();
    client.admitted().await;
}

#[tokio::test]
async fn what_was_looked_at_is_what_is_confirmed() {
    let (vendor, site, client) = enrolled().await;
    let (first, second) = (vendor.signed(&site.keys(), 1), vendor.signed(&site.keys(), 2));
    client.entries.offer(first.clone()).await.unwrap();
    let looked_at = client.waiting().unwrap();
    client.entries.offer(second.clone()).await.unwrap();
    let by = crate::approvers::Approver::by_uid("alice", 1001);
    use crate::approvers::EnrollmentDesk;
    let words = words_of(&first).parse().unwrap();
    let confirmed = client.entries.confirm(looked_at, words, Default::default(), by).await;
    assert!(matches!(confirmed, Err(ConfirmError::Changed)));
    assert!(client.entries.offer(first).await.is_err(), "an older one does not come back");
    client.confirm(&words_of(&second)).await.unwrap();
    client.admitted().await;
}

#[tokio::test]
async fn later_entries_with_the_same_keys_need_nobody_and_older_ones_are_refused() {
    let (vendor, site, client) = enrolled().await;
    let keys = site.keys();
    let first = vendor.signed(&keys, 3);
    client.entries.offer(first.clone()).await.unwrap();
    client.confirm(&words_of(&first)).await.unwrap();
    client.entries.offer(vendor.signed(&keys, 4)).await.unwrap();
    assert_eq!((client.view().entry_sequence, client.view().entry_waits), (4, false));
    let other = vendor.entry(&keys, 4);
    let other = tunnel_certs::statement::inventory::Entry { expires: now().plus(2 * DAY), ..other };
    for refused in [first.clone(), other.make(&vendor.key).unwrap()] {
        assert!(matches!(client.entries.offer(refused).await, Err(OfferError::Refused(_))));
    }
    drop(client);
    let client = site.start();
    assert_eq!(client.view().entry_sequence, 4);
    assert!(client.entries.offer(first).await.is_err(), "also after a restart");
    assert!(client.takes_requests());
}

#[tokio::test]
async fn no_vendor_signature_no_entry() {
    let (vendor, site, client) = enrolled().await;
    let (own, entry) = (site.keys(), vendor.entry(&site.keys(), 1));
    let foreign = PublicPair { cluster: ed25519().public().clone(), ..own.clone() };
    let expired = tunnel_certs::statement::inventory::Entry { expires: now().minus(DAY), ..entry.clone() };
    let altered = {
        let mut altered = vendor.signed(&own, 1);
        altered.payload[5] ^= 1;
        altered
    };
    for envelope in [
        entry.make(&ed25519()).unwrap(),
        vendor.signed(&foreign, 1),
        expired.make(&vendor.key).unwrap(),
        altered,
        vendor.trust(9, &vendor.key),
        v1::Envelope::default(),
    ] {
        assert!(matches!(client.entries.offer(envelope).await, Err(OfferError::Refused(_))));
        assert_eq!(client.waiting(), None);
    }
    assert!(!client.takes_requests());
}

#[tokio::test]
async fn an_entry_in_the_configuration_is_confirmed_by_that_also_while_running() {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let site = Site::new(&[&broker.address], "enrollment: {bundle: b}\ninventoryEntry: entry.pb");
    site.put_bundle(&vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    let write = |entry: v1::Envelope| {
        let bytes = prost::Message::encode_to_vec(&entry);
        tunnel_certs::file::write(&site.path("entry.pb"), &bytes).unwrap();
    };
    let foreign = PublicPair { cluster: ed25519().public().clone(), ..site.keys() };
    write(vendor.signed(&foreign, 1));
    let mut admission = client.entries.admission();
    let says = |part: &'static str| move |now: &crate::requests::Admission| matches!(now, crate::requests::Admission::Refusing(why) if why.contains(part));
    tokio::time::timeout(PATIENCE, admission.wait_for(says("other keys"))).await.unwrap().unwrap();
    write(vendor.signed(&site.keys(), 1));
    client.admitted().await;
    drop(client);
    std::fs::remove_file(site.path("entry.pb")).unwrap();
    assert!(site.start().takes_requests(), "what came once is kept");
}

#[tokio::test]
async fn an_entry_in_the_configuration_that_came_before_its_trust_bundle_counts_after_it() {
    let vendor = Arc::new(Vendor::new());
    let broker = Broker::start(&vendor.broker(), honest(&vendor)).await;
    let site = Site::new(
        &[&broker.address],
        "enrollment: {bundle: b}
inventoryEntry: entry.pb",
    );
    site.put_bundle(&vendor.bundle(TokenKind::Cluster));
    let client = site.start();
    client.eventually_is(EnrollmentState::Registered).await;
    let next = Vendor::new();
    let entry = prost::Message::encode_to_vec(&next.signed(&site.keys(), 1));
    tunnel_certs::file::write(&site.path("entry.pb"), &entry).unwrap();
    let mut admission = client.entries.admission();
    let refused = |now: &crate::requests::Admission| matches!(now, crate::requests::Admission::Refusing(why) if why.contains("trusted keys"));
    tokio::time::timeout(PATIENCE, admission.wait_for(refused)).await.unwrap().unwrap();
    let bundle = prost::Message::encode_to_vec(&next.trust(6, &vendor.key));
    client.trust.offer(bundle, crate::trust::Source::Broker).await.unwrap();
    client.admitted().await;
}

#[tokio::test]
async fn no_entry_counts_that_the_audit_log_does_not_take() {
    let (vendor, site, client) = enrolled().await;
    drop(client);
    let folder = tempfile::tempdir().unwrap();
    let cluster = crate::config::Cluster { name: cluster(), label: label() };
    let settings = crate::config::AuditConfig::default().settings(folder.path(), &cluster);
    let (audit, log) = crate::audit::Audit::open(settings).unwrap();
    log.close().await;
    std::fs::write(site.path("entry.pb"), prost::Message::encode_to_vec(&vendor.signed(&site.keys(), 1)))
        .unwrap();
    let site = Site {
        yaml: format!(
            "{}inventoryEntry: entry.pb
",
            site.yaml
        ),
        ..site
    };
    let client = site.start_audited(audit);
    let mut admission = client.entries.admission();
    let refused = |now: &crate::requests::Admission| matches!(now, crate::requests::Admission::Refusing(why) if why.contains("audit log"));
    tokio::time::timeout(PATIENCE, admission.wait_for(refused)).await.unwrap().unwrap();
    assert!(!site.state().join("entry.json").exists());
}
