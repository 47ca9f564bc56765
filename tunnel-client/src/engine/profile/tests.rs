use tunnel_protos::FILE_DESCRIPTOR_SET;
use tunnel_runtime::chain;

use super::*;

mod guide;
mod operations;

const FULL: &str = r#"
name: own
descriptors: own.protoset
endpoints: { default: "https://127.0.0.1:2379", pod-1: "unix:/run/engine.sock" }
credentials: { tls: { ca: ca.pem, cert: cert.pem, key: /keys/key.pem }, bearerFile: token }
readOnly: [ "postern.operators.v1.Operators/ListClusters", "grpc.health.v1.Health/Check" ]
health: { method: postern.operators.v1.Operators/ListClusters }
metadata: [ hasleader ]
"#;

fn parse(text: &str) -> Result<Profile, ProfileErrors> {
    Profile::parse(text, Path::new("/etc/postern"), |path| {
        assert_eq!(path, Path::new("/etc/postern/own.protoset"));
        Ok(FILE_DESCRIPTOR_SET.to_vec())
    })
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn reads_every_key() {
    let profile = parse(FULL).unwrap();
    assert_eq!(profile.name(), "own");
    assert_eq!(profile.endpoints().len(), 2);
    let tls = profile.credentials().tls.clone().unwrap();
    assert_eq!(tls.ca, Path::new("/etc/postern/ca.pem"));
    assert_eq!(tls.identity.unwrap().1, Path::new("/keys/key.pem"));
    let bearer = Authorization::Bearer("/etc/postern/token".into());
    assert_eq!(profile.credentials().authorization, Some(bearer));
    assert!(matches!(profile.health(), HealthProbe::Method(_)));
    assert!(profile.metadata().contains("hasleader"));
}

#[test]
fn what_is_not_marked_mutates() {
    let profile = parse(FULL).unwrap();
    let read_only = |method: &str| profile.is_read_only(&method.parse().unwrap());
    assert!(read_only("postern.operators.v1.Operators/ListClusters"));
    assert!(!read_only("postern.operators.v1.Operators/GetStatus"));
    assert!(!read_only("engine.Admin/List"));
}

#[test]
fn without_descriptors_only_literal_names_stand_for_themselves() {
    let profile = parse("{ name: own, endpoints: { default: 'http://127.0.0.1:1' } }").unwrap();
    let expand = |pattern: &str| profile.expand(&pattern.parse().unwrap());
    assert_eq!(expand("a.B/Get"), ["a.B/Get".parse().unwrap()]);
    assert_eq!(expand("a.B/*"), []);
    assert!(matches!(profile.health(), HealthProbe::Standard));
}

#[test]
fn the_digest_covers_profile_and_descriptors() {
    let digest =
        |text: &str, set: &[u8]| *Profile::parse(text, Path::new(""), |_| Ok(set.to_vec())).unwrap().digest();
    let bare = "{ name: own, descriptors: a, endpoints: { default: 'http://127.0.0.1:1' } }";
    let first = digest(bare, FILE_DESCRIPTOR_SET);
    assert_ne!(first, digest(&format!("{bare} "), FILE_DESCRIPTOR_SET));
    assert_ne!(first, digest(bare, &[]));
}

#[test]
fn unknown_keys_are_refused_with_their_place() {
    let error = refusal("name: own\nendpoints: { default: 'http://127.0.0.1:1' }\nreadonly: []\n");
    assert!(error.contains("readonly") && error.contains('3'), "{error}");
    assert!(refusal(&FULL.replace("ca:", "cca:")).contains("cca"));
}

#[test]
fn descriptors_by_reflection_are_refused() {
    assert!(refusal(&FULL.replace("own.protoset", "reflection")).contains("reflection"));
}

#[test]
fn values_that_cannot_be_are_refused() {
    for (from, to, says) in [
        ("unix:/run", "unix:run", "endpoints.pod-1"),
        ("pod-1", "Pod_1", "endpoints.Pod_1"),
        ("v1.Operators/ListClusters\"", "v1.Operators/Nothing\"", "not in the descriptors"),
        ("grpc.health.v1.Health/Check", "grpc.health.v1.Health/*", "readOnly"),
        ("cert: cert.pem,", "", "cert and key come together"),
        ("bearerFile: token", "bearerFile: token, basicFile: b", "either"),
        ("hasleader", "authorization", "metadata"),
        ("hasleader", "postern-operator", "metadata"),
        ("pod-1:", "operations:", "endpoints.operations"),
    ] {
        let error = refusal(&FULL.replace(from, to));
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
    let bare = "{ name: own, endpoints: { default: 'https://127.0.0.1:1' } }";
    assert!(refusal(bare).contains("credentials.tls"));
    assert!(refusal("{ name: own, endpoints: {} }").contains("at least one"));
}

#[test]
fn a_broken_descriptor_set_names_its_file() {
    let error = Profile::parse(FULL, Path::new("/x"), |_| Ok(vec![0xff])).unwrap_err();
    let first = error.each().next().unwrap();
    assert!(
        matches!(first, ProfileError::Descriptors { path, .. } if path == Path::new("/x/own.protoset")),
        "{error}"
    );
}

#[test]
fn all_problems_come_at_once() {
    let broken = FULL.replace("unix:/run", "unix:run").replace("hasleader", "authorization");
    let error = refusal(&broken.replace("grpc.health.v1.Health/Check", "nothing"));
    for part in ["endpoints.pod-1", "metadata", "readOnly"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
}

#[test]
fn descriptors_may_come_in_several_files() {
    const ETCD: &[u8] = include_bytes!("../../../../integration/profiles/etcd.protoset");
    const OTHER: &str = "syntax = \"proto3\"; package other; message One {}";
    let text = "{ name: own, descriptors: [a, b], endpoints: { default: 'http://127.0.0.1:1' } }";
    let shop = testing::protoset();
    let read = |path: &Path| Ok(if path == Path::new("a") { shop.clone() } else { ETCD.to_vec() });
    let profile = Profile::parse(text, Path::new(""), read).unwrap();
    for pattern in ["shop.v1.Admin/*", "etcdserverpb.KV/*"] {
        assert!(!profile.expand(&pattern.parse().unwrap()).is_empty(), "{pattern}");
    }
    let twice = Profile::parse(text, Path::new(""), |_| Ok(shop.clone()));
    assert!(twice.is_ok(), "the same file twice: {twice:?}");
    let read = |path: &Path| Ok(if path == Path::new("a") { shop.clone() } else { testing::compile(OTHER) });
    let error = Profile::parse(text, Path::new(""), read).unwrap_err();
    assert!(chain(&error.0[0]).to_string().contains("a different file shop.proto"), "{error:?}");
}
