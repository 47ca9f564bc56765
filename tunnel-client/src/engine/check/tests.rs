use tunnel_protos::{FILE_DESCRIPTOR_SET, dynamic::Descriptors};

use super::*;
use crate::engine::{
    profile::testing,
    testing::{Says, Scripted},
};

/// Our own descriptors after `change` to the bytes of one file of the set.
fn set(change: impl Fn(Vec<u8>) -> Vec<u8>) -> Descriptors {
    Descriptors::decode(&change(FILE_DESCRIPTOR_SET.to_vec())).unwrap()
}

fn renamed(from: &'static str, to: &'static str) -> Descriptors {
    assert_eq!(from.len(), to.len(), "lengths stand in the encoding");
    set(|bytes| {
        let mut bytes = bytes;
        let places: Vec<_> =
            (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
        assert!(!places.is_empty(), "{from}");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        bytes
    })
}

fn texts(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(Difference::to_string).collect()
}

#[test]
fn equal_sets_differ_in_nothing() {
    assert_eq!(compare(&set(|bytes| bytes), &set(|bytes| bytes)), []);
}

#[test]
fn a_method_of_another_name_is_missing_and_extra() {
    let differences = compare(&set(|bytes| bytes), &renamed("ListClusters", "FindClusters"));
    let texts = texts(&differences);
    assert!(
        texts.iter().any(|text| text.starts_with("missing at the engine") && text.ends_with("/ListClusters"))
    );
    assert!(
        texts.iter().any(|text| text.starts_with("only at the engine") && text.ends_with("/FindClusters"))
    );
    assert!(differences[0].breaks() && !differences.last().unwrap().breaks());
}

#[test]
fn a_field_of_another_name_is_a_change_of_every_method_that_carries_it() {
    let differences = texts(&compare(&set(|bytes| bytes), &renamed("sessions_cut", "sessions_cat")));
    let revoke = differences.iter().find(|text| text.contains("Approvers/Revoke")).expect("carries it");
    assert!(revoke.contains("RevokeReply field 2: uint32 sessions_cut is uint32 sessions_cat"), "{revoke}");
}

#[test]
fn messages_that_contain_themselves_are_compared_once() {
    // etcd's transactions hold transactions.
    let bytes = include_bytes!("../../../../integration/profiles/etcd.protoset");
    let set = Descriptors::decode(bytes).unwrap();
    assert_eq!(compare(&set, &set), []);
}

#[tokio::test]
async fn a_broken_profile_ends_with_78_and_an_unreachable_engine_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.yaml");
    let written = |text: &str| std::fs::write(&path, text).unwrap();
    written("{ name: own, endpoints: { default: nowhere }, metadata: [authorization] }");
    let report = run(&path, Scope::Live).await;
    assert_eq!((report.exit(), report.broken.len()), (Exit::Config, 2), "{report:?}");
    written("{ name: own, endpoints: { default: 'unix:/nowhere/engine.sock' } }");
    assert_eq!(run(&path, Scope::Files).await.exit(), Exit::Ok);
    let report = run(&path, Scope::Live).await;
    assert_eq!(report.exit(), Exit::Failed);
    assert!(report.unfit[0].starts_with("target default: cannot connect to unix:/nowhere"), "{report:?}");
}

#[tokio::test]
async fn credential_files_that_cannot_be_read_are_told_without_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.yaml");
    let text = "{ name: own, endpoints: { default: 'https://127.0.0.1:1' }, \
                credentials: { tls: { ca: ca.pem }, bearerFile: token } }";
    std::fs::write(&path, text).unwrap();
    let report = run(&path, Scope::Files).await;
    assert_eq!(report.exit(), Exit::Config);
    let said = report.broken.join("\n");
    assert!(said.contains("ca.pem") && said.contains("token"), "{said}");
}

fn shop(state: &str) -> Scripted {
    let status =
        r#"{"healthy":true,"parts":[{"name":"storage","replicas":2,"releaseName":"v1"}],"settings":{}}"#;
    let nodes = format!(r#"{{"nodes":[{{"name":"n1","state":"{state}"}},{{"name":"n2"}}]}}"#);
    Scripted::start([
        ("Status", Says::one(&testing::answer("Status", status))),
        ("Nodes", Says::one(&testing::answer("Nodes", &nodes))),
    ])
}

async fn looked(engine: &Engine) -> (ComponentReport, Option<String>, Option<String>) {
    let component = &engine.profile().operable().components()[&"storage".parse().unwrap()];
    components::look(engine, component).await
}

#[tokio::test]
async fn a_component_is_shown_as_the_engine_shows_it() {
    let scripted = shop("NODE_STATE_READY");
    let (report, unfit, note) = looked(&scripted.engine()).await;
    let seen = report.seen.unwrap();
    let ready: Vec<_> = seen.nodes.iter().map(|node| node.ready).collect();
    assert_eq!((seen.replicas, seen.release.as_deref(), ready), (Some(2), Some("v1"), vec![true, false]));
    assert_eq!((unfit, note), (None, None));
    let wrong = scripted.engine_with("[0].replicas", "[7].replicas");
    let (report, unfit, _) = looked(&wrong).await;
    assert!(report.seen.is_none() && unfit.unwrap().starts_with("component storage: "));
}

#[tokio::test]
async fn a_state_that_no_node_is_ever_in_is_noted() {
    let scripted = shop("NODE_STATE_READY");
    let misspelled = scripted.engine_with("node.state == 'NODE_STATE_READY'", "node.state == 'READY'");
    let note = looked(&misspelled).await.2.unwrap();
    assert_eq!(note, "component storage: no node is ready; does `ready` say what the engine says?");
}

#[tokio::test]
async fn a_check_calls_nothing_that_is_not_listed_as_reading() {
    let scripted = shop("NODE_STATE_READY");
    let engine = scripted.engine_with("shop.v1.Admin/Nodes, shop.v1.Admin/Debug ]", "shop.v1.Admin/Debug ]");
    let (report, unfit, note) = looked(&engine).await;
    assert!(report.seen.is_none() && unfit.is_none());
    assert_eq!(
        note.unwrap(),
        "component storage is not looked at: shop.v1.Admin/Nodes is not listed under readOnly"
    );
}
