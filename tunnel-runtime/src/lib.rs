//! Process plumbing: configuration, logs, owned tasks, shards, drain, admin port, gRPC serving.
//!
//! Knows no other crate of this workspace: what a program *is* never leaks in here.

pub mod admin;
pub mod build_info;
pub mod chain;
pub mod config;
pub mod doctor;
pub mod drain;
#[cfg(feature = "test-util")]
pub mod eventually;
pub mod exit;
pub mod grpc;
pub mod layout;
pub mod logs;
pub mod manual;
pub mod metrics;
pub mod ready;
pub mod shards;
pub mod stay;
pub mod tasks;

pub use self::chain::chain;
