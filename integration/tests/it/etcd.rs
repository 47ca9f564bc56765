//! The real etcd through the tunnel, called by the real grpcurl with the checked-in descriptor set.

mod watch;

use std::net::SocketAddr;

use data_encoding::BASE64;
use serde_json::Value;
use tempfile::TempDir;
use tunnel_integration::{
    engine_tls::EngineTls,
    etcd::{Etcd, Options},
    harness::{
        grpcurl::{Grpcurl, Ran},
        profile::Shipped,
        world::{Plan, World},
    },
};

/// An etcd behind a tunnel.
struct Lab {
    etcd: Etcd,
    options: Options,
    world: World,
    _folder: TempDir,
}

/// An operator with a certificate for some methods and grpcurl at hand.
struct Caller {
    grpcurl: Grpcurl,
    flags: Vec<String>,
    address: SocketAddr,
}

impl Lab {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::loopback(folder.path());
        Self::start_with(folder, options, "").await
    }

    async fn start_with(folder: TempDir, mut options: Options, profile_more: &str) -> Self {
        let etcd = Etcd::start(&options).await.unwrap();
        options.address = etcd.address();
        let mut plan = Plan::new().unwrap();
        plan.client.profile = Shipped::Etcd;
        plan.client.endpoints = vec![("default".to_owned(), etcd.endpoint())];
        plan.client.profile_more = profile_more.to_owned();
        plan.client.policy = POLICY.to_owned();
        Self { etcd, options, world: plan.start().await.unwrap(), _folder: folder }
    }

    async fn caller(&self, methods: &[&str]) -> Caller {
        let pass = self.world.pass(methods).await.unwrap();
        let flags = pass.grpcurl_flags(self.world.folder()).unwrap();
        let grpcurl = Grpcurl::find().expect("grpcurl is not installed: run `make tools`");
        Caller { grpcurl, flags, address: self.world.address() }
    }
}

impl Caller {
    async fn call(&self, method: &str, request: &str) -> Ran {
        let arguments = self.arguments(method, request);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.grpcurl.run(&arguments, "").await.unwrap()
    }

    fn arguments(&self, method: &str, request: &str) -> Vec<String> {
        let address = self.address.to_string();
        let rest = ["-protoset", PROTOSET, "-max-time", "15", "-d", request, &address, method];
        self.flags.iter().cloned().chain(rest.map(str::to_owned)).collect()
    }
}

fn messages(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let messages = serde_json::Deserializer::from_str(&ran.stdout).into_iter();
    messages.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn status_and_members_come_through_the_tunnel() {
    let lab = Lab::start().await;
    let caller = lab.caller(&["etcdserverpb.Maintenance/Status", "etcdserverpb.Cluster/MemberList"]).await;
    let status = caller.call("etcdserverpb.Maintenance/Status", "{}").await;
    assert_eq!(messages(&status)[0]["version"], "3.6.16");
    let members = caller.call("etcdserverpb.Cluster/MemberList", "{}").await;
    assert_eq!(messages(&members)[0]["members"][0]["name"], "one");
}

#[tokio::test]
async fn a_value_put_is_read_back_and_deleting_it_is_refused() {
    let lab = Lab::start().await;
    let caller = lab.caller(&["etcdserverpb.KV/Put", "etcdserverpb.KV/Range"]).await;
    messages(&caller.call("etcdserverpb.KV/Put", r#"{"key":"a2V5","value":"dmFsdWU="}"#).await);
    let range = caller.call("etcdserverpb.KV/Range", r#"{"key":"a2V5"}"#).await;
    assert_eq!(messages(&range)[0]["kvs"][0]["value"], "dmFsdWU=");
    let delete = caller.call("etcdserverpb.KV/DeleteRange", r#"{"key":"a2V5"}"#).await;
    assert_eq!(delete.code(), Some(PERMISSION_DENIED), "{delete:?}");
}

#[tokio::test]
async fn a_snapshot_is_a_whole_database() {
    let lab = Lab::start().await;
    let caller = lab.caller(&["etcdserverpb.Maintenance/Snapshot"]).await;
    let pieces = messages(&caller.call("etcdserverpb.Maintenance/Snapshot", "{}").await);
    let blobs = pieces.iter().filter_map(|piece| piece["blob"].as_str());
    let database = blobs.flat_map(|blob| BASE64.decode(blob.as_bytes()).unwrap()).collect::<Vec<_>>();
    assert_eq!(database[16..20], BOLT_MAGIC);
    // etcd ends a snapshot with a digest of 32 bytes after whole pages of 4,096.
    assert_eq!(database.len() % 4096, 32);
}

#[tokio::test]
async fn mutual_tls_to_the_engine_is_the_clients_business() {
    let folder = tempfile::tempdir().unwrap();
    let files = EngineTls::create(folder.path()).unwrap();
    let options = Options { tls: Some(files.mutual()), ..Options::loopback(folder.path()) };
    let [ca, certificate, key] = [&files.ca, &files.client.0, &files.client.1].map(|path| path.display());
    let more = format!("credentials: {{ tls: {{ ca: {ca}, cert: {certificate}, key: {key} }} }}\n");
    let lab = Lab::start_with(folder, options, &more).await;
    let caller = lab.caller(&["etcdserverpb.Maintenance/Status"]).await;
    let status = caller.call("etcdserverpb.Maintenance/Status", "{}").await;
    assert_eq!(messages(&status)[0]["version"], "3.6.16");
}

#[tokio::test]
async fn an_engine_that_is_down_is_told_and_answers_once_it_is_back() {
    let mut lab = Lab::start().await;
    let caller = lab.caller(&["etcdserverpb.Maintenance/Status"]).await;
    lab.etcd.kill().await.unwrap();
    let down = caller.call("etcdserverpb.Maintenance/Status", "{}").await;
    assert_eq!(down.code(), Some(UNAVAILABLE), "{down:?}");
    lab.etcd = Etcd::start(&lab.options).await.unwrap();
    messages(&caller.call("etcdserverpb.Maintenance/Status", "{}").await);
}

#[tokio::test]
async fn the_newest_grpcurl_gets_through_as_well() {
    let lab = Lab::start().await;
    let mut caller = lab.caller(&["etcdserverpb.Maintenance/Status"]).await;
    caller.grpcurl = Grpcurl::newest().expect("grpcurl-1.9.4 is not installed: run `make tools`");
    messages(&caller.call("etcdserverpb.Maintenance/Status", "{}").await);
}

const PROTOSET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/etcd.protoset");
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;
/// What every bbolt file has at byte 16.
const BOLT_MAGIC: [u8; 4] = 0xED0C_DAED_u32.to_le_bytes();
const POLICY: &str = "\
version: 1
access:
  - methods: [\"etcdserverpb.KV/*\", \"etcdserverpb.Watch/*\", \"etcdserverpb.Cluster/MemberList\", etcdserverpb.Maintenance/Status, etcdserverpb.Maintenance/Snapshot]
    approval: auto
";
