use prost::Message;

use super::*;
use crate::FILE_DESCRIPTOR_SET;

const PROTO: &str = r#"
    syntax = "proto3";
    package demo.v1;
    message Ask { string key = 1; int64 size = 2; }
    message Answer { bytes value = 1; Ask ask = 2; string secret = 3 [debug_redact = true]; string shown = 4 [deprecated = true]; }
    service Store {
        rpc Get(Ask) returns (Answer);
        rpc Watch(Ask) returns (stream Answer);
        rpc Put(stream Ask) returns (Answer);
        rpc Chat(stream Ask) returns (stream Answer);
    }
    service Other { rpc Get(Ask) returns (Answer); }
"#;

fn demo() -> Descriptors {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("demo.proto"), PROTO).unwrap();
    let mut compiler = protox::Compiler::new([folder.path()]).unwrap();
    compiler.include_imports(true).open_file("demo.proto").unwrap();
    // Types of prost would lose the options that they do not know, `debug_redact` among them.
    Descriptors::decode(&compiler.encode_file_descriptor_set()).unwrap()
}

fn get() -> Method {
    demo().method(&"demo.v1.Store/Get".parse().unwrap()).unwrap()
}

#[test]
fn lists_methods_with_their_kinds() {
    let kinds: Vec<_> = demo().methods().map(|m| (m.name().to_string(), m.kind())).collect();
    let expected = [
        ("demo.v1.Store/Get", CallKind::Unary),
        ("demo.v1.Store/Watch", CallKind::ServerStream),
        ("demo.v1.Store/Put", CallKind::ClientStream),
        ("demo.v1.Store/Chat", CallKind::Bidirectional),
        ("demo.v1.Other/Get", CallKind::Unary),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
}

#[test]
fn a_pattern_stands_for_its_services_methods_only() {
    let all = demo().expand(&"demo.v1.Store/*".parse().unwrap());
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|name| name.service() == "demo.v1.Store"));
    assert_eq!(demo().expand(&"demo.v1.Other/Get".parse().unwrap()).len(), 1);
    assert!(demo().expand(&"demo.v1.Other/Put".parse().unwrap()).is_empty());
    assert!(demo().expand(&"demo.v2.Store/*".parse().unwrap()).is_empty());
}

#[test]
fn json_goes_to_the_wire_and_back() {
    let get = get();
    let message = get.request(r#"{"key": "a", "size": "12"}"#).unwrap();
    let wire = message.encode_to_vec();
    assert_eq!(wire, [0x0a, 1, b'a', 0x10, 12]);
    let again = DynamicMessage::decode(get.input(), &wire[..]).unwrap();
    assert_eq!(get.request(&to_json(&again, Defaults::Omit).unwrap()).unwrap(), message);
}

#[test]
fn json_shows_fields_at_their_defaults_when_asked() {
    let empty = get().request("{}").unwrap();
    let json = to_json(&empty, Defaults::Emit).unwrap();
    assert!(json.contains("\"key\": \"\"") && json.contains("\"size\": \"0\""), "{json}");
    assert_eq!(to_json(&empty, Defaults::Omit).unwrap(), "{}");
}

#[test]
fn json_with_an_unknown_field_or_a_tail_is_refused() {
    for bad in [r#"{"kay": "a"}"#, r"{} {}", r#"{"size": "x"}"#, "", "[]"] {
        let error = get().request(bad).unwrap_err();
        assert_eq!(error.to_string(), "not a demo.v1.Ask in JSON", "{bad}");
    }
}

#[test]
fn refuses_bytes_that_are_no_descriptor_set() {
    assert!(matches!(Descriptors::decode(&[0xff; 9]), Err(DescriptorsError::Decode(_))));
}

#[test]
fn refuses_a_set_that_lacks_an_import() {
    let mut set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let imported = set.file.iter().position(|file| file.name().ends_with("envelope.proto")).unwrap();
    set.file.remove(imported);
    assert!(matches!(Descriptors::decode(&set.encode_to_vec()), Err(DescriptorsError::Decode(_))));
}

#[test]
fn reads_our_own_set() {
    let services: Vec<_> = Descriptors::decode(FILE_DESCRIPTOR_SET).unwrap().services().collect();
    assert!(services.iter().any(|name| name.starts_with("postern.operators.v1.")), "{services:?}");
}

#[test]
fn a_field_is_redacted_only_if_its_schema_says_so() {
    let answer = get().output();
    let redacted = |name: &str| is_redacted(&answer.get_field_by_name(name).unwrap());
    assert!(redacted("secret"));
    assert!(!redacted("shown") && !redacted("value"));
}
