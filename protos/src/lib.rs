//! Every message that crosses a process boundary, and the vocabulary they speak.
//!
//! No I/O. Messages are plain data as they arrived; the types of [`id`], [`name`], [`method`] and [`text`]
//! can only hold what their grammar allows, so code that has one need not check again.

pub mod digest;
pub mod dynamic;
pub mod id;
pub mod method;
pub mod name;
pub mod operations;
pub mod strict;
pub mod text;
pub mod time;

mod generated;
mod secret;

pub use self::{
    digest::{Challenge, Digest, EnvelopeId, SealingKeyId},
    generated::{FILE_DESCRIPTOR_SET, approvers, operators, v1},
    id::{Door, GrantId, Label, PauseId, RequestId, TokenId},
    method::{MethodName, MethodPattern},
    name::{
        ApproverName, BrokerId, ClusterName, CollectorName, ComponentName, DoorName, Name, NodeName,
        OperatorName, ReplicaId, SettingName, Suffix, TargetName, TaskName, VendorName, Word,
    },
    text::PersonText,
    time::UnixMillis,
};
