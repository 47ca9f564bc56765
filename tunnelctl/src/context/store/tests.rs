use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use tunnel_certs::key::{Algorithm, Signer, SigningKey};

use super::*;

fn context() -> Context {
    Context {
        identity: IdentityFiles { certificate: "/op.pem".into(), key: "/op.key".into() },
        vendor: "acme-db".parse().unwrap(),
        operator: "dana".parse().unwrap(),
        vendor_keys: vec![SigningKey::generate(Algorithm::Ed25519).unwrap().public().clone()],
        api: ApiAddress {
            address: "127.0.0.1:8443".into(),
            name: "api.tunnel.example".into(),
            ca: Some("/api.pem".into()),
        },
        suffix: "tunnel.example".parse().unwrap(),
        connect_address: Some("127.0.0.1:8443".into()),
    }
}

fn name(text: &str) -> ContextName {
    text.parse().unwrap()
}

fn saved() -> (TempDir, Contexts, Context) {
    let home = tempfile::tempdir().unwrap();
    let contexts = Contexts::new(&home.path().join("postern"));
    let context = context();
    contexts.save(&name("lab"), &context).unwrap();
    (home, contexts, context)
}

#[test]
fn a_context_is_read_as_written() {
    let (_home, contexts, context) = saved();
    let (current, read) = contexts.load(None).unwrap();
    assert_eq!(current, name("lab"));
    assert_eq!(format!("{read:?}"), format!("{context:?}"));
}

#[test]
fn files_are_private() {
    let (home, ..) = saved();
    let mode = |path: &str| std::fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("postern/contexts/lab.yaml"), 0o600);
    assert_eq!(mode("postern/current"), 0o600);
    assert_eq!(mode("postern"), 0o700);
}

#[test]
fn the_last_login_is_current_and_others_stay() {
    let (_home, contexts, context) = saved();
    contexts.save(&name("prod"), &context).unwrap();
    assert_eq!(contexts.load(None).unwrap().0, name("prod"));
    assert_eq!(contexts.load(Some(&name("lab"))).unwrap().0, name("lab"));
}

#[test]
fn missing_contexts_say_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let contexts = Contexts::new(home.path());
    assert!(matches!(contexts.load(None), Err(Error::None(_))));
    let unknown = contexts.load(Some(&name("lab"))).unwrap_err();
    assert!(unknown.to_string().contains("tunnelctl login --context lab"));
}

#[test]
fn refuses_a_context_without_a_vendor_key_or_with_unknown_keys() {
    let (home, contexts, context) = saved();
    let path = home.path().join("postern/contexts/lab.yaml");
    let keyless = Context { vendor_keys: Vec::new(), ..context };
    contexts.save(&name("lab"), &keyless).unwrap();
    assert!(contexts.load(None).unwrap_err().to_string().contains("no vendor key"));
    contexts.save(&name("lab"), &self::context()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap() + "trustEverything: true\n";
    std::fs::write(&path, text).unwrap();
    assert!(matches!(contexts.load(None), Err(Error::Malformed { .. })));
}
