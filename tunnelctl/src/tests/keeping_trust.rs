//! Entries, trust, bans and replicas as administrators keep them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tunnel_protos::Label;
use tunnel_runtime::exit::Exit;

use super::administrators::{Customer, house};
use crate::testing::hall::member;

fn label() -> Label {
    Label::from_random([9; 17])
}

#[tokio::test]
async fn entries_are_listed_and_renewed_before_they_end() {
    let house = house().await;
    house.publish("acme/prod", label(), &Customer::new(), 4);
    let list = house.done("inventory list").await;
    assert!(
        list.out.contains("acme/prod") && list.err.contains("end within 30 days"),
        "{}{}",
        list.out,
        list.err
    );
    house.done("inventory renew --all --within 30d --first-seen --vendor-key @vendor.key").await;
    let entry = house.entry("acme/prod");
    assert_eq!(entry.entry.sequence, 5);
    let none = house.done("inventory renew --all --within 30d --vendor-key @vendor.key").await;
    assert!(none.out.contains("no entry has to be renewed"), "{}", none.out);
    let show = house.done("inventory show acme/prod").await;
    assert!(show.out.contains(&entry.words.to_string()), "{}", show.out);
}

#[tokio::test]
async fn an_older_entry_is_never_signed_anew() {
    let house = house().await;
    let (stolen, new) = (Customer::new(), Customer::new());
    let old = house.publish("acme/prod", label(), &stolen, 1);
    house.publish("acme/prod", label(), &new, 2);
    for _ in 0..2 {
        let unseen = house.run("inventory renew acme/prod --vendor-key @vendor.key").await;
        assert_eq!(unseen.ending, Exit::Usage.into(), "the refused run must not vouch for what it saw");
        assert!(unseen.err.contains("--first-seen"), "{}", unseen.err);
    }
    house.done("inventory renew acme/prod --first-seen --vendor-key @vendor.key").await;
    house.hall.books().entries.insert("acme/prod".into(), old);
    let refused = house.run("inventory renew acme/prod --vendor-key @vendor.key").await;
    assert_eq!(refused.ending, Exit::Failed.into(), "{}", refused.out);
    assert!(refused.err.contains("came after entry"), "{}", refused.err);
}

#[tokio::test]
async fn a_broker_that_forgot_an_entry_is_given_the_one_that_was_vouched_for() {
    let house = house().await;
    let keys = Customer::new();
    house.publish("acme/prod", label(), &keys, 3);
    house.done("inventory list").await;
    let forget = || house.hall.books().entries.remove("acme/prod");
    let shown = forget().unwrap();
    let looked_at = house.run("inventory renew acme/prod --first-seen --vendor-key @vendor.key").await;
    assert!(looked_at.err.contains("shows no cluster acme/prod"), "{}", looked_at.err);
    house.hall.books().entries.insert("acme/prod".into(), shown);
    house.done("inventory renew acme/prod --first-seen --vendor-key @vendor.key").await;
    let vouched = house.entry("acme/prod").entry;
    for (sequence, command) in [(5, "renew acme/prod"), (6, "renew --all")] {
        forget();
        let within = house.done("inventory renew --all --within 30d --vendor-key @vendor.key").await;
        assert!(within.out.contains("no entry has to be renewed"), "{}", within.out);
        let renewed = house.done(&format!("inventory {command} --vendor-key @vendor.key")).await;
        assert!(renewed.err.contains("has forgotten acme/prod"), "{}", renewed.err);
        let given = house.entry("acme/prod").entry;
        assert_eq!((given.sequence, &given.cluster_key), (sequence, &vouched.cluster_key));
    }
}

#[tokio::test]
async fn one_entry_that_is_unreadable_keeps_no_other_from_being_renewed() {
    let house = house().await;
    for name in ["acme/old", "acme/prod"] {
        house.publish(name, label(), &Customer::new(), 1);
        house.done(&format!("inventory renew {name} --first-seen --vendor-key @vendor.key")).await;
    }
    house.hall.books().entries.remove("acme/old");
    let kept = find(&house.path("state"), "old.json").expect("the entry that is kept");
    std::fs::write(kept, "{").unwrap();
    let named = house.run("inventory renew acme/old --vendor-key @vendor.key").await;
    assert_eq!(named.ending, Exit::Failed.into(), "{}", named.err);
    let all = house.done("inventory renew --all --vendor-key @vendor.key").await;
    assert!(
        all.err.contains("acme/old is left out: ") && all.out.contains("acme/prod: entry 3"),
        "{}",
        all.err
    );
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| match entry.path() {
        path if path.is_dir() => find(&path, name),
        path => path.ends_with(name).then_some(path),
    })
}

#[tokio::test]
async fn entries_are_renewed_by_a_key_on_another_machine() {
    let house = house().await;
    house.publish("acme/prod", label(), &Customer::new(), 1);
    house.done("inventory list").await;
    let unseen = house.run("inventory renew --all --write-payload @unsigned").await;
    assert_eq!(unseen.ending, Exit::Usage.into(), "to have looked at an entry is not to vouch for it");
    house.done("inventory renew --all --first-seen --write-payload @unsigned").await;
    house
        .done("tunnel-certs sign @unsigned/acme-prod.unsigned --vendor-key @vendor.key --out @entry.pb")
        .await;
    house.done("inventory renew --all --entry @entry.pb").await;
    assert_eq!(house.entry("acme/prod").entry.sequence, 2);
}

#[tokio::test]
async fn the_trust_bundle_is_shown_published_and_never_goes_back() {
    let house = house().await;
    let show = house.done("trust show --out @old.pb").await;
    assert!(show.out.contains("Postern mesh CA acme-db"), "{}", show.out);
    let old = house.hall.books().trust.clone();
    let written = house.certs("rotate renew --write-unsigned @next.unsigned").await;
    assert_eq!(written.ending, Exit::Waiting.into(), "{}", written.err);
    house.done("tunnel-certs sign @next.unsigned --vendor-key @vendor.key --out @next.pb").await;
    house.done("trust publish @next.pb").await;
    assert_eq!(house.hall.books().bundle().sequence, 2);
    house.done("trust publish @next.pb").await;
    let refused = house.run("trust publish @old.pb").await;
    assert_eq!(refused.ending, Exit::Failed.into(), "{}", refused.out);
    house.hall.books().trust = old;
    let withheld = house.run("trust show").await;
    assert!(withheld.err.contains("withholds"), "{}", withheld.err);
}

#[tokio::test]
async fn a_ban_names_the_label_of_the_proven_entry() {
    let house = house().await;
    let customer = Customer::new();
    house.publish("acme/prod", label(), &customer, 1);
    house.hall.books().replicas.push(member(label(), "r-1", &Arc::clone(&customer.key)));
    house.done("ban acme/prod --replica r-1 --reason sold").await;
    assert_eq!(house.hall.books().bans, [(label().to_string(), "r-1".to_owned())]);
    let replicas = house.done("replicas acme/prod").await;
    assert!(replicas.out.contains("acme/prod") && replicas.out.contains("banned"), "{}", replicas.out);
    house.done("unban acme/prod --replica r-1 --reason found").await;
    assert!(house.hall.books().bans.is_empty());
    let replicas = house.done("replicas").await;
    assert!(replicas.out.contains("connected"), "{}", replicas.out);
    let unknown = house.run("ban acme/dev --reason x").await;
    assert_eq!(unknown.ending, Exit::Failed.into());
}

#[tokio::test]
async fn before_there_is_an_entry_a_ban_names_the_label() {
    let house = house().await;
    let banned = house.done(&format!("ban --label {} --replica r-1 --reason stolen", label())).await;
    assert_eq!(house.hall.books().bans, [(label().to_string(), "r-1".to_owned())]);
    assert!(banned.err.contains("service account"), "{}", banned.err);
    house.done(&format!("unban --label {} --replica r-1 --reason found", label())).await;
    assert!(house.hall.books().bans.is_empty());
    for wrong in [format!("ban acme/prod --label {} --reason x", label()), "ban --reason x".to_owned()] {
        assert_eq!(house.run(&wrong).await.ending, Exit::Usage.into(), "{wrong}");
    }
}
