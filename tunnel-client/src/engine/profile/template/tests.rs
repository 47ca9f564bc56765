use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::*;
use crate::engine::profile::testing::method;

fn samples() -> Samples {
    let text = |text: &str| vec![Var::Text(text.to_owned())];
    Samples::from([("name".to_owned(), text("n")), ("value".to_owned(), text("v"))])
}

fn set() -> Template {
    Template::parse(&method("Set"), json!({"name": "${name}", "value": "<${value}>"}), &samples()).unwrap()
}

#[test]
fn values_take_their_places() {
    let template = set();
    assert!(template.uses("name") && !template.uses("other"));
    let rendered = template.render(&Vars::default().text("name", "a").text("value", 7)).unwrap();
    assert_eq!(rendered.json, r#"{"name":"a","value":"<7>"}"#);
}

#[test]
fn a_missing_value_is_an_error_and_not_empty() {
    let error = set().render(&Vars::default().text("name", "a")).unwrap_err();
    assert!(matches!(error, TemplateError::Unknown { name, .. } if name == "value"));
}

#[test]
fn what_the_method_does_not_take_is_refused_when_it_is_read() {
    for json in [
        json!({"name": "${nam}"}),
        json!({"name": "${"}),
        json!({"name": "${}"}),
        json!({"nam": "${name}"}),
        json!({"name": 3}),
        json!("${name}"),
    ] {
        assert!(Template::parse(&method("Set"), json.clone(), &samples()).is_err(), "{json}");
    }
}

#[test]
fn every_value_that_may_come_is_tried() {
    let kinds = |values: &[&str]| {
        let values = values.iter().map(|value| Var::Text((*value).to_owned())).collect();
        Template::parse(&method("Work"), json!({"kind": "${k}"}), &Samples::from([("k".to_owned(), values)]))
    };
    assert!(kinds(&["KIND_COMPACT", "KIND_CHECK"]).is_ok());
    assert!(kinds(&["KIND_COMPACT", "KIND_OTHER"]).is_err());
}

#[test]
fn maps_and_lists_are_whole_values() {
    let map = Var::Map(BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]));
    let samples = Samples::from([("settings".to_owned(), vec![map.clone()])]);
    let template = |json| Template::parse(&method("Configure"), json, &samples);
    let whole = template(json!({"settings": "${settings}"})).unwrap();
    let rendered = whole.render(&Vars::default().with("settings", map)).unwrap();
    assert_eq!(rendered.json, r#"{"settings":{"a":"1","b":"2"}}"#);
    assert!(template(json!({"settings": {"x": "all: ${settings}"}})).is_err());
}

proptest! {
    /// Whatever a value holds, it is the value of its field and nothing else.
    #[test]
    fn a_value_cannot_become_another_field(name in "\\PC{0,40}", value in "\\PC{0,40}") {
        let rendered = set().render(&Vars::default().text("name", &name).text("value", &value)).unwrap();
        let field = |key: &str| {
            rendered.message.get_field_by_name(key).and_then(|found| found.as_str().map(str::to_owned))
        };
        prop_assert_eq!(field("name"), Some(name));
        prop_assert_eq!(field("value"), Some(format!("<{value}>")));
        let again = method("Set").request(&rendered.json).unwrap();
        prop_assert_eq!(again.encode_to_vec(), rendered.message.encode_to_vec());
    }
}
