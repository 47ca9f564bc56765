//! All tests that need more than one program or a real engine, in one binary.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bad_engine;
mod children;
mod crash;
mod credentials;
mod cutting;
mod doors;
mod engines;
mod etcd;
mod etcd_direct;
mod grpcurl_kinds;
mod hostile_broker;
mod hostile_flood;
mod hostile_texts;
mod large_streams;
mod mailbox;
mod profiles;
mod reference_engine;
mod scope;
mod way;
mod wire_faults;
