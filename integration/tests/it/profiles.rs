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

#[test]
fn the_profile_of_etcd_knows_what_mutates() {
    let profile = load("etcd.yaml");
    assert!(is_read_only(&profile, "etcdserverpb.KV/Range"));
    assert!(!is_read_only(&profile, "etcdserverpb.KV/Put"));
    assert!(!is_read_only(&profile, "etcdserverpb.Maintenance/Defragment"));
}

#[test]
fn the_profile_of_the_reference_engine_knows_what_mutates() {
    let profile = load("reference-engine.yaml");
    assert!(is_read_only(&profile, "engine.admin.v1.Admin/GetStatus"));
    assert!(!is_read_only(&profile, "engine.admin.v1.Admin/Scale"));
}
