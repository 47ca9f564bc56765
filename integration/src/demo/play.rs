//! What the demo plays with: which engine, who is asked for what, and what the calls are.

use super::script::{OPERATIONS_SCRIPT, SCRIPT, Step};
use crate::harness::profile::Shipped;

/// An engine and what is done to it; the same steps with either.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    /// What stands in the headline.
    pub engine: &'static str,
    /// How it is started, as a person would.
    pub start: &'static str,
    /// Its profile.
    pub profile: Shipped,
    /// Its descriptor set, as the demo's folder has it.
    pub protoset: &'static str,
    /// What the operator asks for.
    pub asked: &'static [&'static str],
    /// What the customer grants by itself and what it wants to be asked for, as the policy writes it.
    pub access: &'static str,
    /// A granted call that changes nothing; and a part of its answer.
    pub read: (Call, &'static str),
    /// A granted call that changes something; and a part of its answer.
    pub write: (Call, &'static str),
    /// A call that was not asked for.
    pub foreign: Call,
    /// A granted stream that does not end soon.
    pub stream: Call,
    /// What may stand nowhere at the broker.
    pub secrets: &'static [&'static str],
    /// Which operations the customer leaves to the policy, as the policy writes it.
    pub approvals: &'static str,
    /// The steps in their order.
    pub script: &'static [Step],
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// `package.Service/Method`.
    pub method: &'static str,
    /// The request as JSON.
    pub data: &'static str,
}

impl Play {
    /// The play with this engine; the reference engine if none is named. Operations are played with that one.
    pub fn named(engine: &str, operations: bool) -> Option<&'static Self> {
        match (engine, operations) {
            ("" | "reference" | "reference-engine", false) => Some(&REFERENCE),
            ("" | "reference" | "reference-engine", true) => Some(&OPERATIONS),
            ("etcd", false) => Some(&ETCD),
            _ => None,
        }
    }

    /// The policy, with what names its approvers.
    pub fn policy(&self, approvers: &str) -> String {
        let Self { approvals, access, .. } = self;
        format!("version: 1\n{approvers}{approvals}access:\n{access}")
    }
}

const fn call(method: &'static str, data: &'static str) -> Call {
    Call { method, data }
}

/// The small engine of this repository.
pub static REFERENCE: Play = Play {
    engine: "the reference engine",
    start: "reference-engine --data engine/data --h2c 127.0.0.1:0 &",
    profile: Shipped::Access,
    protoset: "customer/reference-engine.protoset",
    asked: &[
        "engine.admin.v1.Admin/GetStatus",
        "engine.admin.v1.Admin/Scale",
        "engine.admin.v1.Admin/RunTask",
    ],
    access: "  - methods: [engine.admin.v1.Admin/GetStatus, grpc.health.v1.Health/Check]
    approval: auto
  - methods: [engine.admin.v1.Admin/Scale, engine.admin.v1.Admin/RunTask]
    approval: manual
",
    read: (call("engine.admin.v1.Admin/GetStatus", "{}"), "\"healthy\": true"),
    write: (
        call("engine.admin.v1.Admin/Scale", "{\"component\": \"storage\", \"replicas\": 4}"),
        "\"replicas\": 4",
    ),
    foreign: call("engine.admin.v1.Admin/Upgrade", "{\"component\": \"storage\", \"release\": \"2.0\"}"),
    stream: call("engine.admin.v1.Admin/RunTask", "{\"task\": \"TASK_CHECK\", \"pauseMillis\": 1500}"),
    secrets: &["GetStatus", "RunTask", "disk of node 3", "INC-7", "alice"],
    approvals: "",
    script: SCRIPT,
};

/// The same engine, operated: nothing is called by hand.
pub static OPERATIONS: Play = Play {
    engine: "operations of the reference engine",
    profile: Shipped::Hasty,
    access: "  - methods: [engine.admin.v1.Admin/GetStatus, grpc.health.v1.Health/Check]
    approval: auto
",
    approvals: "approvals:
  scale: { mode: auto, limits: { maxReplicas: 5, maxStep: 2 } }
  restart: auto
  upgrade: manual
  runTask: { compact: auto }
  collectDebug: { mode: manual, release: manual }
",
    secrets: &["GetStatus", "RunTask", "compact", "1.1.0", "storage-0", "INC-7", "alice", "made-up"],
    script: OPERATIONS_SCRIPT,
    ..REFERENCE
};

/// An engine that nobody here wrote.
pub static ETCD: Play = Play {
    engine: "etcd",
    start: "etcd --data-dir engine/data --listen-client-urls http://127.0.0.1:0 … &",
    profile: Shipped::Etcd,
    protoset: "customer/etcd.protoset",
    asked: &["etcdserverpb.Maintenance/Status", "etcdserverpb.KV/*", "etcdserverpb.Watch/Watch"],
    access: "  - methods: [etcdserverpb.Maintenance/Status, etcdserverpb.Cluster/MemberList, etcdserverpb.KV/Range]
    approval: auto
  - methods: [\"etcdserverpb.KV/*\", etcdserverpb.Watch/Watch]
    approval: manual
",
    read: (call("etcdserverpb.Maintenance/Status", "{}"), "\"version\": \"3."),
    write: (call("etcdserverpb.KV/Put", "{\"key\": \"bm9kZS0z\", \"value\": \"ZHJhaW5lZA==\"}"), "revision"),
    foreign: call("etcdserverpb.Maintenance/Defragment", "{}"),
    stream: call("etcdserverpb.Watch/Watch", "{\"create_request\": {\"key\": \"bm9kZS0z\"}}"),
    secrets: &["Maintenance", "KV/Put", "bm9kZS0z", "drained", "disk of node 3", "INC-7", "alice"],
    approvals: "",
    script: SCRIPT,
};
