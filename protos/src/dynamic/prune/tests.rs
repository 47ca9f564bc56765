use prost_reflect::DescriptorPool;

use super::*;

const COMMON: &str = r#"
    syntax = "proto3";
    package demo.common;
    import "google/protobuf/timestamp.proto";
    import "options.proto";
    enum Color { COLOR_NONE = 0; COLOR_RED = 1 [(demo.options.secret_value) = "x"]; }
    message Stamp { google.protobuf.Timestamp at = 1; Color color = 2; }
    message Unused { string internal = 1; }
"#;

const OPTIONS: &str = r#"
    syntax = "proto3";
    package demo.options;
    import "google/protobuf/descriptor.proto";
    extend google.protobuf.FieldOptions { string owner = 50001; }
    extend google.protobuf.EnumValueOptions { string secret_value = 50002; }
"#;

const PUBLIC: &str = r#"
    syntax = "proto3";
    package demo.gateway;
    import public "common.proto";
"#;

const STORE: &str = r#"
    syntax = "proto3";
    package demo.v1;
    import "public.proto";
    import "options.proto";
    option go_package = "internal.example/demo";
    // A comment that is nobody's business.
    message Ask {
        reserved "old_name";
        reserved 9;
        string key = 1 [(demo.options.owner) = "team-secret"];
        map<string, demo.common.Stamp> stamps = 2;
        repeated int32 sizes = 3 [packed = false];
        optional Ask again = 4;
    }
    message Outer {
        string hidden = 1;
        message Inner { oneof value { string text = 1; int64 number = 2; } }
    }
    message Nothing {}
    message Secret { string password = 1; }
    service Store {
        option deprecated = true;
        rpc Get(Ask) returns (Outer.Inner);
        rpc Drop(Secret) returns (Nothing);
        rpc Ping(Nothing) returns (Nothing);
    }
    service Admin { rpc Wipe(Secret) returns (Nothing); }
"#;

fn whole_set() -> Descriptors {
    let folder = tempfile::tempdir().unwrap();
    let files = [("options", OPTIONS), ("common", COMMON), ("public", PUBLIC), ("store", STORE)];
    for (name, text) in files {
        std::fs::write(folder.path().join(format!("{name}.proto")), text).unwrap();
    }
    let mut compiler = protox::Compiler::new([folder.path()]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_file("store.proto").unwrap();
    Descriptors::decode(&compiler.encode_file_descriptor_set()).unwrap()
}

fn prune(methods: &[&str]) -> Pruned {
    let names: Vec<MethodName> = methods.iter().map(|name| name.parse().unwrap()).collect();
    whole_set().prune(&names)
}

fn names(pruned: &Pruned) -> Vec<&str> {
    pruned.files.iter().map(|file| file.name.as_str()).collect()
}

/// The pruned set read again: only a complete one can be.
fn pool(pruned: &Pruned) -> DescriptorPool {
    let file = |file: &PrunedFile| FileDescriptorProto::decode(&*file.encoded).unwrap();
    DescriptorPool::from_file_descriptor_set(prost_reflect::prost_types::FileDescriptorSet {
        file: pruned.files.iter().map(file).collect(),
    })
    .unwrap()
}

#[test]
fn keeps_a_method_with_all_that_it_reaches() {
    let pruned = prune(&["demo.v1.Store/Get"]);
    let pool = pool(&pruned);
    let service = pool.get_service_by_name("demo.v1.Store").unwrap();
    assert_eq!(service.methods().map(|method| method.name().to_owned()).collect::<Vec<_>>(), ["Get"]);
    let ask = pool.get_message_by_name("demo.v1.Ask").unwrap();
    assert_eq!(ask.fields().count(), 4);
    assert!(ask.get_field_by_name("stamps").unwrap().is_map());
    assert!(!ask.get_field_by_name("sizes").unwrap().is_packed());
    let inner = pool.get_message_by_name("demo.v1.Outer.Inner").unwrap();
    assert_eq!(inner.oneofs().count(), 1);
    assert!(pool.get_message_by_name("google.protobuf.Timestamp").is_some());
    assert!(pool.get_enum_by_name("demo.common.Color").is_some());
}

#[test]
fn lists_exactly_the_services_and_files_that_are_needed() {
    let pruned = prune(&["demo.v1.Store/Get"]);
    assert_eq!(pruned.services, ["demo.v1.Store"]);
    assert_eq!(names(&pruned), ["google/protobuf/timestamp.proto", "common.proto", "store.proto"]);
    let small = prune(&["demo.v1.Store/Ping", "demo.v1.Admin/Wipe"]);
    assert_eq!((small.services.len(), names(&small)), (2, vec!["store.proto"]));
}

#[test]
fn nothing_else_leaves() {
    let pruned = prune(&["demo.v1.Store/Get"]);
    let bytes: Vec<_> = pruned.files.iter().flat_map(|file| file.encoded.clone()).collect();
    let text = String::from_utf8_lossy(&bytes);
    for secret in [
        "Drop",
        "Ping",
        "Admin",
        "Secret",
        "password",
        "Unused",
        "internal",
        "hidden",
        "Nothing",
        "old_name",
        "team-secret",
        "options",
        "business",
        "go_package",
        "public.proto",
    ] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[test]
fn symbols_are_those_that_are_kept() {
    let pruned = prune(&["demo.v1.Store/Get"]);
    let symbols: Vec<_> = pruned.files.iter().flat_map(|file| file.symbols.clone()).collect();
    for known in [
        "demo.v1.Store",
        "demo.v1.Store.Get",
        "demo.v1.Ask",
        "demo.v1.Ask.key",
        "demo.v1.Outer.Inner",
        "demo.v1.Outer.Inner.value",
        "demo.common.COLOR_RED",
        "google.protobuf.Timestamp",
    ] {
        assert!(symbols.iter().any(|symbol| symbol == known), "{known} is missing in {symbols:?}");
    }
    assert!(!symbols.iter().any(|symbol| symbol == "demo.v1.Outer"), "a shell is no symbol");
}

#[test]
fn an_empty_message_that_is_needed_is_kept() {
    let pruned = prune(&["demo.v1.Store/Ping"]);
    assert!(pool(&pruned).get_message_by_name("demo.v1.Nothing").is_some());
    assert!(pruned.files[0].symbols.contains(&"demo.v1.Nothing".to_owned()));
}

#[test]
fn unknown_methods_are_left_out() {
    assert_eq!(prune(&["demo.v1.Store/Fly"]), Pruned::default());
    assert_eq!(prune(&[]), Pruned::default());
}
