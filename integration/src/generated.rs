//! The messages of the reference engine and of the supervisor, generated from `proto/` by `make protos`; a test compares them with their sources.

/// Administration and faults.
#[path = "generated"]
pub mod admin {
    #[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
    #[rustfmt::skip]
    #[path = "engine.admin.v1.rs"]
    pub mod v1;
}

/// Data.
#[path = "generated"]
pub mod kv {
    #[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
    #[rustfmt::skip]
    #[path = "engine.kv.v1.rs"]
    pub mod v1;
}

/// A companion that restarts an engine.
#[path = "generated"]
pub mod supervisor {
    #[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
    #[rustfmt::skip]
    #[path = "supervisor.v1.rs"]
    pub mod v1;
}
