//! All tests that need more than one program or a real engine, in one binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod approvals;
mod bad_engine;
mod charts;
mod charts_deploy;
mod children;
mod crash;
mod credentials;
mod cutting;
mod demo_end;
mod doctors;
mod doors;
mod engines;
mod enroll_guide;
mod enrollment;
mod etcd;
mod etcd_direct;
mod full_disk;
mod fuzz;
mod grpcurl_kinds;
mod grpcurl_reflection;
mod hostile_broker;
mod hostile_enrollment;
mod hostile_flood;
mod hostile_texts;
mod large_streams;
mod lost_keys;
mod mailbox;
mod metrics;
mod operations;
mod policies;
mod profile_check;
mod profiles;
mod proofs;
mod proxy;
mod reference_engine;
mod refusals;
mod replaced;
mod rotation;
mod scope;
mod statuses;
mod targets;
mod torture;
mod way;
mod wire_faults;
