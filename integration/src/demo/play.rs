//! What the demo plays with: which engine, who is asked for what, and what the calls are.

use crate::harness::profile::Shipped;

/// An engine and what is done to it; the same steps with either.
#[derive(Debug)]
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
    /// The play with this engine; the reference engine if none is named.
    pub fn named(engine: &str) -> Option<&'static Self> {
        match engine {
            "" | "reference" | "reference-engine" => Some(&REFERENCE),
            "etcd" => Some(&ETCD),
            _ => None,
        }
    }
}

const fn call(method: &'static str, data: &'static str) -> Call {
    Call { method, data }
}

/// The small engine of this repository.
pub static REFERENCE: Play = Play {
    engine: "the reference engine",
    start: "reference-engine --data engine/data --h2c 127.0.0.1:0 &",
    profile: Shipped::ReferenceEngine,
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
};
