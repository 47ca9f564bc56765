//! The shipped profiles are ones that the client takes.

use std::path::Path;

use tunnel_client::engine::profile::Profile;
use tunnel_protos::MethodName;

fn load(name: &str) -> Profile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    Profile::load(&folder.join(name)).unwrap()
}

fn is_read_only(profile: &Profile, method: &str) -> bool {
    profile.is_read_only(&method.parse::<MethodName>().unwrap())
}

fn is_operation(profile: &Profile, method: &str) -> bool {
    profile.operation_of(&method.parse::<MethodName>().unwrap()).is_some()
}

#[test]
fn the_profile_of_etcd_knows_what_mutates() {
    let profile = load("etcd.yaml");
    assert!(is_operation(&profile, "etcdserverpb.Maintenance/Defragment"));
    assert!(!is_operation(&profile, "etcdserverpb.Maintenance/HashKV"), "which only reads");
    assert!(is_read_only(&profile, "etcdserverpb.KV/Range"));
    assert!(!is_read_only(&profile, "etcdserverpb.KV/Put"));
    assert!(!is_read_only(&profile, "etcdserverpb.Maintenance/Defragment"));
}

#[test]
fn the_profile_of_the_reference_engine_knows_what_mutates() {
    let profile = load("reference-engine.yaml");
    for method in ["Scale", "Upgrade", "Restart", "Configure", "RunTask"] {
        assert!(is_operation(&profile, &format!("engine.admin.v1.Admin/{method}")), "{method}");
    }
    assert!(is_read_only(&profile, "engine.admin.v1.Admin/GetStatus"));
    assert!(!is_read_only(&profile, "engine.admin.v1.Admin/Scale"));
}
