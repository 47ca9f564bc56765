use tunnel_protos::dynamic::{Defaults, to_json};

use super::*;
use crate::engine::profile::testing::{answer, method};

fn list(paths: &[&str]) -> Result<FieldList, Vec<FieldError>> {
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    FieldList::parse(&method("Debug").output(), &paths)
}

fn kept(paths: &[&str]) -> serde_json::Value {
    let message = answer(
        "Debug",
        r#"{"release":"v1","password":"hunter2","shards":[{"index":1,"recent":["k"]},{"index":2}],
            "accounts":{"x":{"name":"X","hash":"h"}},"tree":{"name":"t","inner":{"name":"u"}},
            "environment":{"SECRET":"s"}}"#,
    );
    let pruned = list(paths).unwrap().prune(&message);
    serde_json::from_str(&to_json(&pruned, Defaults::Omit).unwrap()).unwrap()
}

#[test]
fn only_what_is_listed_stays() {
    assert_eq!(kept(&["release"]), serde_json::json!({"release": "v1"}));
    assert_eq!(kept(&["shards.index"]), serde_json::json!({"shards": [{"index": 1}, {"index": 2}]}));
    assert_eq!(kept(&["accounts.name"]), serde_json::json!({"accounts": {"x": {"name": "X"}}}));
    assert_eq!(kept(&["tree.inner.name"]), serde_json::json!({"tree": {"inner": {"name": "u"}}}));
}

#[test]
fn a_message_stands_for_its_fields_but_not_for_the_redacted() {
    assert_eq!(list(&["shards", "accounts"]).unwrap().paths(), ["accounts.name", "shards.index"]);
    assert_eq!(kept(&["accounts"]), serde_json::json!({"accounts": {"x": {"name": "X"}}}));
}

#[test]
fn what_is_redacted_is_listed_by_its_own_name_only() {
    let listed = list(&["release", "password", "shards.recent"]).unwrap();
    assert_eq!(listed.redacted(), ["password", "shards.recent"]);
    assert_eq!(kept(&["password"]), serde_json::json!({"password": "hunter2"}));
}

#[test]
fn paths_that_mean_nothing_are_refused_all_at_once() {
    let problems = list(&["releese", "release.name", "tree", "accounts.nmae", "release"]).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(matches!(problems[2], FieldError::Endless(_)));
}

#[test]
fn numbers_that_the_schema_does_not_know_are_dropped() {
    use prost::Message as _;
    let mut bytes = answer("Debug", r#"{"release":"v1"}"#).encode_to_vec();
    bytes.extend([0xfa, 0x06, 3, b'x', b'y', b'z']);
    let message = DynamicMessage::decode(method("Debug").output(), &bytes[..]).unwrap();
    assert_eq!(message.unknown_fields().count(), 1);
    let pruned = list(&["release"]).unwrap().prune(&message);
    assert_eq!(pruned.encode_to_vec(), [0x0a, 2, b'v', b'1']);
}

#[test]
fn a_field_that_is_not_there_is_told_in_one_sentence() {
    let told = |path: &str| list(&[path]).unwrap_err().remove(0).to_string();
    assert_eq!(
        told("accounts.nmae"),
        "`accounts.nmae` names nothing: shop.v1.Account has no field `nmae`; it has name, hash"
    );
    let json = FieldList::parse(&method("Status").output(), &["parts.releaseName".to_owned()]).unwrap_err();
    assert_eq!(
        json[0].to_string(),
        "`parts.releaseName` names nothing: shop.v1.Part has no field `releaseName`; the .proto file says `release_name`"
    );
    let none = FieldList::parse(&method("Scale").output(), &["done".to_owned()]).unwrap_err();
    assert_eq!(
        none[0].to_string(),
        "`done` names nothing: shop.v1.ScaleReply has no field `done`; it has none"
    );
}
