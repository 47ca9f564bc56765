//! `tunnelctl proxy`: a client that knows nothing of us, the real etcdctl, works through its socket.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;
use tunnel_integration::{
    etcd::{Etcd, Options},
    harness::{
        PATIENCE,
        binaries::tool,
        command::{Ended, ended},
        profile::Shipped,
        program::Program,
        tunnelctl::Tunnelctl,
        world::{Plan, World},
    },
};

struct Lab {
    world: World,
    _etcd: Etcd,
    proxy: Program,
    socket: PathBuf,
    folder: TempDir,
}

impl Lab {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let etcd = Etcd::start(&Options::loopback(folder.path())).await.unwrap();
        let mut plan = Plan::new().unwrap();
        plan.client.profile = Shipped::Etcd;
        plan.client.endpoints = vec![("default".to_owned(), etcd.endpoint())];
        plan.client.policy = POLICY.to_owned();
        let world = plan.start().await.unwrap();
        let (socket, proxy) = (folder.path().join("etcd.sock"), folder.path().join("machine"));
        let proxy = start(&world, &proxy, &socket).await;
        Self { world, _etcd: etcd, proxy, socket, folder }
    }

    async fn etcdctl(&self, words: &[&str]) -> Ended {
        let mut command = Command::new(tool("etcdctl").unwrap());
        command.arg(format!("--endpoints=unix://{}", self.socket.display())).args(words);
        ended(command).await.unwrap()
    }
}

async fn start(world: &World, machine: &Path, socket: &Path) -> Program {
    let tunnelctl = Tunnelctl::new(machine, Vec::new()).unwrap();
    let identity = world.vendor.operator(&"ada".parse().unwrap()).unwrap();
    tunnelctl.login(&world.vendor, &identity, world.address()).await.unwrap();
    let mut words = vec!["proxy", "acme/prod", "--reason", "look at a key", "--socket"];
    let path = socket.display().to_string();
    words.push(&path);
    words.extend(METHODS.iter().flat_map(|method| ["--method", *method]));
    let command = tunnelctl.command(&words).unwrap();
    let mut proxy = Program::start("proxy", command, &machine.join("proxy.log")).unwrap();
    let ready = |output: &str| output.contains("etcdctl --endpoints").then_some(());
    proxy.says("how to use it", PATIENCE, ready).await.unwrap();
    proxy
}

#[tokio::test]
async fn etcdctl_works_through_the_proxys_socket() {
    let lab = Lab::start().await;
    for (words, says) in [
        (&["put", "node-3", "drained"][..], "OK"),
        (&["get", "node-3"], "node-3\ndrained"),
        (&["member", "list"], "started, one"),
        (&["endpoint", "status", "--write-out=json"], "\"version\":\"3.6"),
    ] {
        let ended = lab.etcdctl(words).await;
        assert!(ended.code == Some(0) && ended.stdout.contains(says), "{words:?}: {ended:?}");
    }
    let file = lab.folder.path().join("snapshot.db");
    let ended = lab.etcdctl(&["snapshot", "save", &file.display().to_string()]).await;
    assert!(ended.code == Some(0) && file.metadata().unwrap().len() > 16_384, "{ended:?}");
}

#[tokio::test]
async fn what_was_not_granted_is_refused_through_the_proxy_with_the_reason() {
    let lab = Lab::start().await;
    let ended = lab.etcdctl(&["user", "add", "eve:eve"]).await;
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("tunnelctl connect"), "says what to do: {ended:?}");
}

#[tokio::test]
async fn the_proxys_socket_is_for_its_user_alone_and_goes_with_it() {
    use std::os::unix::fs::PermissionsExt;
    let mut lab = Lab::start().await;
    assert_eq!(lab.socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    lab.proxy.stop(PATIENCE).await.unwrap();
    assert!(!lab.socket.exists());
    assert_eq!(lab.world.approver().status().await.unwrap().sessions_open, 0);
}

const METHODS: &[&str] = &[
    "etcdserverpb.KV/*",
    "etcdserverpb.Cluster/MemberList",
    "etcdserverpb.Maintenance/Status",
    "etcdserverpb.Maintenance/Snapshot",
];
const POLICY: &str = "\
version: 1
access:
  - methods: [\"etcdserverpb.KV/*\", etcdserverpb.Cluster/MemberList, etcdserverpb.Maintenance/Status, etcdserverpb.Maintenance/Snapshot]
    approval: auto
";
