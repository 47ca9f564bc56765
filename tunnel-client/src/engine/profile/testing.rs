//! A small engine's schema, a profile that can do everything with it, and messages of it.

use std::path::Path;

use tunnel_protos::dynamic::{Descriptors, DynamicMessage, Method, from_json};

use super::Profile;

/// An engine with one of everything.
pub(crate) const PROTO: &str = r#"
    syntax = "proto3";
    package shop.v1;
    service Admin {
      rpc Status(StatusRequest) returns (StatusReply);
      rpc Nodes(NodesRequest) returns (NodesReply);
      rpc Scale(ScaleRequest) returns (ScaleReply);
      rpc Upgrade(UpgradeRequest) returns (ScaleReply);
      rpc Restart(RestartRequest) returns (ScaleReply);
      rpc Configure(ConfigureRequest) returns (ScaleReply);
      rpc Set(SetRequest) returns (ScaleReply);
      rpc Work(WorkRequest) returns (stream WorkReply);
      rpc Debug(DebugRequest) returns (DebugReply);
      rpc Feed(stream StatusRequest) returns (StatusReply);
    }
    service Supervisor { rpc Restart(StatusRequest) returns (ScaleReply); }
    message StatusRequest {}
    message StatusReply {
      bool healthy = 1;
      repeated Part parts = 2;
      map<string, string> settings = 3;
      uint64 big = 4;
      Detail detail = 5;
      optional int32 maybe = 6;
    }
    message Detail { string text = 1; }
    message Part { string name = 1; uint32 replicas = 2; string release_name = 3; }
    message NodesRequest { string part = 1; }
    message NodesReply { repeated Node nodes = 1; }
    message Node { string name = 1; NodeState state = 2; string release = 3; int64 started_at = 4; }
    enum NodeState { NODE_STATE_UNKNOWN = 0; NODE_STATE_READY = 1; }
    message ScaleRequest { string part = 1; uint32 replicas = 2; }
    message ScaleReply {}
    message UpgradeRequest { string part = 1; string release = 2; repeated string nodes = 3; }
    message RestartRequest { string part = 1; string node = 2; }
    message ConfigureRequest { map<string, string> settings = 1; }
    message SetRequest { string name = 1; string value = 2; }
    message WorkRequest { Kind kind = 1; uint32 pause = 2; bool deep = 3; string note = 4; }
    enum Kind { KIND_UNKNOWN = 0; KIND_COMPACT = 1; KIND_CHECK = 2; }
    message WorkReply { uint32 done = 1; uint32 total = 2; bool finished = 3; }
    message DebugRequest { string topic = 1; }
    message DebugReply {
      string release = 1;
      string password = 2 [debug_redact = true];
      repeated Shard shards = 3;
      map<string, Account> accounts = 4;
      Tree tree = 5;
      map<string, string> environment = 6 [debug_redact = true];
    }
    message Shard { uint32 index = 1; repeated string recent = 2 [debug_redact = true]; }
    message Account { string name = 1; string hash = 2 [debug_redact = true]; }
    message Tree { string name = 1; Tree inner = 2; }
"#;

/// A profile that maps all of it.
pub(crate) const PROFILE: &str = r#"
name: shop
descriptors: shop.protoset
endpoints: { default: "http://127.0.0.1:1", b: "http://127.0.0.1:2" }
companions: { sup-a: "http://127.0.0.1:3" }
readOnly: [ shop.v1.Admin/Status, shop.v1.Admin/Nodes, shop.v1.Admin/Debug ]
health: { method: shop.v1.Admin/Status, ok: "response.healthy" }
tasks:
  compact:
    method: shop.v1.Admin/Work
    request: { kind: KIND_COMPACT, pause: "${pause}", deep: "${deep}", note: "by ${who}" }
    arguments:
      pause: { type: int, min: 0, max: 1000, default: 0 }
      deep: { type: bool, default: false }
      who: { type: enum, values: [me, you] }
    timeout: 10m
    progress: { done: "response.done", total: "response.total" }
    ok: "response.finished"
    component: storage
    risk: low
debug:
  info: { method: shop.v1.Admin/Debug, allow: [release, shards, accounts.name], sizeCap: 64KiB }
components:
  storage:
    find:
      method: shop.v1.Admin/Status
      also:
        nodes: { method: shop.v1.Admin/Nodes, request: { part: storage } }
        each: { method: shop.v1.Admin/Status, per: target }
      replicas: "response.parts.filter(p, p.name == 'storage')[0].replicas"
      release: "response.parts.filter(p, p.name == 'storage')[0].release_name"
      settings: "response.settings"
      nodes: "nodes.nodes"
      ready: "node.state == 'NODE_STATE_READY' && size(each) > 0"
      nodeRelease: "node.release"
      incarnation: "string(node.started_at)"
    gate: { soak: 2s, deadline: 1m }
    scale: { method: shop.v1.Admin/Scale, request: { part: "${component}", replicas: "${replicas}" }, min: 1, max: 9, odd: true }
    upgrade: { method: shop.v1.Admin/Upgrade, request: { part: storage, release: "${release}", nodes: ["${node}"] }, per: node }
    restart: { method: shop.v1.Supervisor/Restart, per: node, via: { storage-1: sup-a } }
    configure:
      method: shop.v1.Admin/Configure
      request: { settings: "${settings}" }
      settings:
        max-connections: { type: int, min: 1, max: 100 }
        secret: { type: string, sensitive: true }
"#;

/// The encoded descriptors of [`PROTO`].
pub(crate) fn protoset() -> Vec<u8> {
    compile(PROTO)
}

/// The encoded descriptors of a .proto file.
pub(crate) fn compile(proto: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), proto).unwrap();
    let mut compiler = protox::Compiler::new([folder.path()]).unwrap();
    compiler.include_imports(true).open_file("shop.proto").unwrap();
    // Types of prost would lose the options that they do not know, `debug_redact` among them.
    compiler.encode_file_descriptor_set()
}

/// A profile of that engine.
pub(crate) fn parse(text: &str) -> Result<Profile, super::ProfileErrors> {
    Profile::parse(text, Path::new(""), |_| Ok(protoset()))
}

/// The profile that maps all of it.
pub(crate) fn profile() -> Profile {
    parse(PROFILE).unwrap()
}

/// A method of `shop.v1.Admin`.
pub(crate) fn method(name: &str) -> Method {
    let set = Descriptors::decode(&protoset()).unwrap();
    set.method(&format!("shop.v1.Admin/{name}").parse().unwrap()).unwrap()
}

/// What that method answers, from its JSON form.
pub(crate) fn answer(name: &str, json: &str) -> DynamicMessage {
    from_json(method(name).output(), json).unwrap()
}
