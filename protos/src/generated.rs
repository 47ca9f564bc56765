//! Code generated from `proto/` by `make protos`; a test compares it with its sources. Not edited by hand.

/// Messages and services of tunnels, requests and statements.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
#[rustfmt::skip]
#[path = "generated/postern.v1.rs"]
pub mod v1;

/// The broker's API for operators.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
#[rustfmt::skip]
#[path = "generated/postern.operators.v1.rs"]
pub mod operators;

/// The client's API for the operator of one operation.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
#[rustfmt::skip]
#[path = "generated/postern.operations.v1.rs"]
pub mod operations_v1;

/// The client's API for approvers.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]
#[rustfmt::skip]
#[path = "generated/postern.approvers.v1.rs"]
pub mod approvers;

/// The encoded `FileDescriptorSet` of all of `proto/`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/postern.bin");
