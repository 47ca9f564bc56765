//! Enrollment from the administrator's side: what the broker never learns, and what it cannot make anybody sign.

use std::os::unix::fs::PermissionsExt;

use tunnel_protos::operators::TokenState;
use tunnel_runtime::exit::Exit;

use super::administrators::{Customer, House, anywhere, house};

const CREATE: &str = "enroll create acme/prod --out @acme.enroll";

async fn created(house: &House) -> tunnel_certs::enrollment::Opened {
    house.done(CREATE).await;
    house.bundle("acme.enroll")
}

#[tokio::test]
async fn a_cluster_is_taken_in_by_the_words_of_its_customer() {
    let house = house().await;
    let bundle = created(&house).await;
    let mode = std::fs::metadata(house.path("acme.enroll")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let customer = Customer::new();
    let words = customer.redeem(&house, &bundle);
    let confirm = house.done(&format!("enroll confirm acme/prod {words} --vendor-key @vendor.key")).await;
    let entry = house.entry("acme/prod");
    assert_eq!((entry.entry.sequence, &entry.entry.cluster_key), (1, key(&customer)));
    assert!(
        confirm.err.contains(&format!("tunnel-client enroll confirm {}", entry.words)),
        "{}",
        confirm.err
    );
    let again = house.run(&format!("enroll confirm acme/prod {words} --vendor-key @vendor.key")).await;
    assert_eq!(again.ending, Exit::Failed.into(), "the secret is gone: {}", again.err);
}

fn key(customer: &Customer) -> &tunnel_certs::key::PublicKey {
    tunnel_certs::key::Signer::public(&*customer.key)
}

#[tokio::test]
async fn the_broker_learns_a_digest_and_the_machine_keeps_the_secret_privately() {
    let house = house().await;
    let bundle = created(&house).await.bundle;
    let (token, digest) = house.hall.books().tokens[0].clone();
    assert_eq!(digest, bundle.secret.broker_secret().sha256());
    assert_eq!((token.cluster.as_str(), token.label.as_str()), ("acme/prod", bundle.label.as_str()));
    assert!(anywhere(&house.path("state"), bundle.secret.as_bytes()));
    house.done("enroll revoke acme/prod").await;
    assert!(!anywhere(&house.path("state"), bundle.secret.as_bytes()));
    assert_eq!(house.hall.books().tokens[0].0.state(), TokenState::Revoked);
}

#[tokio::test]
async fn other_words_confirm_nothing_and_the_right_ones_are_not_said() {
    let house = house().await;
    let bundle = created(&house).await;
    let words = Customer::new().redeem(&house, &bundle);
    let other = "zoo zoo zoo zoo zoo zoo zoo zoo";
    let refused = house.run(&format!("enroll confirm acme/prod {other} --vendor-key @vendor.key")).await;
    assert_eq!(refused.ending, Exit::Failed.into());
    assert!(refused.err.contains("the words differ") && !refused.err.contains(&words), "{}", refused.err);
    assert!(house.hall.books().entries.is_empty());
}

#[tokio::test]
async fn a_registration_that_was_not_made_with_the_secret_is_refused_whatever_its_words() {
    let house = house().await;
    let bundle = created(&house).await;
    let honest = Customer::new();
    honest.redeem(&house, &bundle);
    let thief = Customer::new();
    let words = {
        let mac = house.hall.books().redeemed[&bundle.bundle.token.to_string()].1.clone();
        let words = thief.redeem(&house, &bundle);
        house.hall.books().redeemed.get_mut(&bundle.bundle.token.to_string()).unwrap().1 = mac;
        words
    };
    let refused = house.run(&format!("enroll confirm acme/prod {words} --vendor-key @vendor.key")).await;
    assert_eq!(refused.ending, Exit::Failed.into());
    assert!(refused.err.contains("not made with this bundle's secret"), "{}", refused.err);
    assert!(house.hall.books().entries.is_empty());
}

#[tokio::test]
async fn a_registration_of_another_bundle_is_refused() {
    let house = house().await;
    let bundle = created(&house).await;
    house.done("enroll create acme/dev --out @other.enroll").await;
    let other = house.bundle("other.enroll");
    let words = Customer::new().redeem(&house, &other);
    let swapped = house.hall.books().redeemed[&other.bundle.token.to_string()].clone();
    house.hall.books().redeemed.insert(bundle.bundle.token.to_string(), swapped);
    let refused = house.run(&format!("enroll confirm acme/prod {words} --vendor-key @vendor.key")).await;
    assert_eq!(refused.ending, Exit::Failed.into(), "{}", refused.out);
    assert!(house.hall.books().entries.is_empty());
}

#[tokio::test]
async fn nothing_is_confirmed_before_it_was_redeemed() {
    let house = house().await;
    created(&house).await;
    let words = "zoo zoo zoo zoo zoo zoo zoo zoo";
    let early = house.run(&format!("enroll confirm acme/prod {words} --vendor-key @vendor.key")).await;
    assert!(early.err.contains("nobody has redeemed"), "{}", early.err);
    let none = house.run(&format!("enroll confirm acme/dev {words} --vendor-key @vendor.key")).await;
    assert!(none.err.contains("nothing to confirm"), "{}", none.err);
    let few = house.run("enroll confirm acme/prod zoo zoo --vendor-key @vendor.key").await;
    assert_eq!(few.ending, Exit::Usage.into(), "{}", few.err);
}

#[tokio::test]
async fn the_vendor_key_may_be_on_another_machine() {
    let house = house().await;
    let bundle = created(&house).await;
    let words = Customer::new().redeem(&house, &bundle);
    let written =
        house.done(&format!("enroll confirm acme/prod {words} --write-payload @entry.unsigned")).await;
    assert!(house.hall.books().entries.is_empty());
    let signed =
        house.done("tunnel-certs sign @entry.unsigned --vendor-key @vendor.key --out @entry.pb").await;
    house.done(&format!("enroll confirm acme/prod {words} --entry @entry.pb")).await;
    let entry = house.entry("acme/prod");
    assert!(written.out.contains(&entry.words.to_string()) && signed.out.contains(&entry.words.to_string()));
}

#[tokio::test]
async fn an_entry_of_other_keys_is_not_published() {
    let house = house().await;
    let bundle = created(&house).await;
    Customer::new().redeem(&house, &bundle);
    let words = Customer::new().redeem(&house, &bundle);
    let foreign = house.publish("acme/prod", bundle.bundle.label, &Customer::new(), 7);
    house.hall.books().entries.clear();
    house.write("foreign.pb", &prost::Message::encode_to_vec(&foreign));
    let refused = house.run(&format!("enroll confirm acme/prod {words} --entry @foreign.pb")).await;
    assert_eq!(refused.ending, Exit::Usage.into(), "{}", refused.err);
    assert!(house.hall.books().entries.is_empty());
}

#[tokio::test]
async fn keys_are_replaced_by_the_key_in_force_and_by_words() {
    let house = house().await;
    let bundle = created(&house).await;
    let (old, new) = (Customer::new(), Customer::new());
    let words = old.redeem(&house, &bundle);
    house.done(&format!("enroll confirm acme/prod {words} --vendor-key @vendor.key")).await;
    let words = new.replace(&house, bundle.bundle.label, &old);
    house.done(&format!("enroll confirm acme/prod {words} --vendor-key @vendor.key")).await;
    let entry = house.entry("acme/prod").entry;
    assert_eq!((entry.sequence, &entry.cluster_key), (2, key(&new)));
    // A stranger's keys, not signed by the cluster key in force.
    let words = Customer::new().replace(&house, bundle.bundle.label, &old);
    let refused = house.run(&format!("enroll confirm acme/prod {words} --vendor-key @vendor.key")).await;
    assert_eq!(refused.ending, Exit::Failed.into(), "{}", refused.out);
}

#[tokio::test]
async fn a_key_that_operators_do_not_pin_publishes_nothing() {
    let house = house().await;
    let bundle = created(&house).await;
    let words = Customer::new().redeem(&house, &bundle);
    house.done("tunnel-certs key vendor --out @other.key --plain").await;
    let refused = house.run(&format!("enroll confirm acme/prod {words} --vendor-key @other.key")).await;
    assert_eq!(refused.ending, Exit::Failed.into(), "{}", refused.out);
    assert!(house.hall.books().entries.is_empty());
}

#[tokio::test]
async fn a_further_replica_has_the_label_of_its_cluster() {
    let house = house().await;
    let early = house.run("enroll create acme/prod --kind replica --out @r.enroll").await;
    assert_eq!(early.ending, Exit::Usage.into(), "{}", early.err);
    let label = tunnel_protos::Label::from_random([9; 17]);
    house.publish("acme/prod", label, &Customer::new(), 1);
    house.done("enroll create acme/prod --kind replica --expires 1h --out @r.enroll").await;
    let bundle = house.bundle("r.enroll").bundle;
    assert_eq!((bundle.label, bundle.kind), (label, tunnel_protos::v1::TokenKind::Replica));
    let list = house.done("enroll list").await;
    assert!(list.out.contains("replica") && list.out.contains("yes"), "{}", list.out);
    let json = house.done("--output json enroll show acme/prod").await;
    let json: serde_json::Value = serde_json::from_str(json.out.trim()).unwrap();
    assert_eq!(json["brokerSays"]["state"], "open");
}

#[tokio::test]
async fn a_bundle_file_is_never_overwritten() {
    let house = house().await;
    house.write("acme.enroll", b"mine");
    let refused = house.run(CREATE).await;
    assert_eq!(refused.ending, Exit::Usage.into());
    assert!(house.hall.books().tokens.is_empty());
}
