//! What both releases of grpcurl show without a protoset, and what they print when access ends.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};
use tunnel_integration::harness::{
    PATIENCE,
    grpcurl::{Grpcurl, Ran},
    operator::Pass,
    wait::until,
    world::{Plan, World},
};

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
const STALL: &str = "engine.admin.v1.Faults/Stall";

fn releases() -> [Grpcurl; 2] {
    let found = [Grpcurl::find(), Grpcurl::newest()];
    found.map(|grpcurl| grpcurl.expect("grpcurl is not installed: run `make tools`"))
}

async fn run(world: &World, pass: &Pass, grpcurl: &Grpcurl, words: &[&str]) -> Ran {
    let flags = pass.grpcurl_flags(world.folder()).unwrap();
    let address = world.address().to_string();
    let mut arguments: Vec<&str> = flags.iter().map(String::as_str).collect();
    arguments.extend(["-max-time", "15", &address]);
    arguments.extend(words);
    grpcurl.run(&arguments, "").await.unwrap()
}

#[tokio::test]
async fn list_and_describe_show_exactly_what_is_granted() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    for grpcurl in releases() {
        let list = run(&world, &pass, &grpcurl, &["list"]).await;
        assert_eq!((list.code(), list.stdout.trim()), (Some(0), "engine.admin.v1.Admin"), "{list:?}");
        let methods = run(&world, &pass, &grpcurl, &["list", "engine.admin.v1.Admin"]).await;
        assert_eq!(methods.stdout.trim(), "engine.admin.v1.Admin.GetStatus", "{methods:?}");
        let described = run(&world, &pass, &grpcurl, &["describe", "engine.admin.v1.Admin"]).await;
        assert!(described.stdout.contains("rpc GetStatus"), "{described:?}");
        assert!(!described.stdout.contains("rpc Upgrade"), "{described:?}");
        let hidden = run(&world, &pass, &grpcurl, &["describe", "engine.admin.v1.UpgradeRequest"]).await;
        assert_ne!(hidden.code(), Some(0), "{hidden:?}");
        assert!(hidden.stderr.contains("not found"), "{hidden:?}");
        let whole = run(&world, &pass, &grpcurl, &["describe"]).await;
        assert_eq!(whole.code(), Some(0), "{whole:?}");
    }
}

#[tokio::test]
async fn a_call_needs_no_protoset() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    for grpcurl in releases() {
        let ran = run(&world, &pass, &grpcurl, &[STATUS]).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        assert!(ran.stdout.contains("\"healthy\": true"), "{ran:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_says_what_to_do_in_both_releases() {
    let mut plan = Plan::new().unwrap();
    plan.client.policy =
        plan.client.policy.replace("version: 1\n", "version: 1\nclocks: { certificateTtl: 1s }\n");
    let world = plan.start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    for grpcurl in releases() {
        let ran = until("the certificate expires", PATIENCE, || async {
            let ran = run(&world, &pass, &grpcurl, &["list"]).await;
            if ran.code() == Some(0) { Err("still valid") } else { Ok(ran) }
        });
        let ran = ran.await.unwrap();
        assert!(ran.stderr.contains("the certificate has expired; run `tunnelctl connect"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_revoked_grant_says_so_in_both_releases() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    world.approver().revoke(&pass.grant.to_string()).await.unwrap();
    for grpcurl in releases() {
        let ran = run(&world, &pass, &grpcurl, &[STATUS]).await;
        assert!(ran.stderr.contains("the customer revoked the grant"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_revoked_ends_with_the_sentence() {
    for grpcurl in releases() {
        let world = World::start().await.unwrap();
        let pass = world.pass(&[STALL]).await.unwrap();
        let mut child = Command::new(grpcurl.path())
            .args(pass.grpcurl_flags(world.folder()).unwrap())
            .args(["-max-time", "30", &world.address().to_string(), STALL])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        timeout(PATIENCE, lines.next_line()).await.expect("a first message").unwrap().unwrap();
        world.approver().revoke(&pass.grant.to_string()).await.unwrap();
        let ended = timeout(PATIENCE, child.wait_with_output()).await.expect("an end").unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(told.contains("Code: Unauthenticated"), "{told}");
        assert!(told.contains("the customer revoked the grant"), "{told}");
    }
}

#[tokio::test]
async fn a_limit_of_the_policy_says_which_and_when_to_try_again() {
    let mut plan = Plan::new().unwrap();
    plan.client.policy =
        "version: 1\naccess:\n  - { methods: [engine.admin.v1.Admin/GetStatus], approval: auto, limits: { callsPerMinute: 2 } }\n"
            .to_owned();
    let world = plan.start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let [grpcurl, _] = releases();
    for _ in 0..2 {
        // Each in a session of its own: the limit is the grant's.
        assert_eq!(run(&world, &pass, &grpcurl, &[STATUS]).await.code(), Some(0));
    }
    let ran = run(&world, &pass, &grpcurl, &[STATUS]).await;
    assert!(ran.stderr.contains("Code: ResourceExhausted"), "{ran:?}");
    assert!(
        ran.stderr.contains("the 2 calls that access rule 1 allows in a minute; try again in"),
        "{ran:?}"
    );
}
