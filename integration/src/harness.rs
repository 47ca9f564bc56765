//! Runs the real programs with throw-away keys: in this process on port 0, or as child processes.
//!
//! Nothing here weakens a program: it gets a real configuration file, real certificates and a real store.

pub mod admin;
pub mod administrator;
pub mod alert;
pub mod api_ca;
pub mod approver;
pub mod approver_key;
pub mod audit;
pub mod binaries;
pub mod broker;
pub mod calls;
pub mod channel;
pub mod client;
pub mod command;
pub mod counters;
pub mod customer;
pub mod doorkeeper;
pub mod engine;
pub mod grpcurl;
pub mod hostile;
pub mod hostile_api;
pub mod hostile_replica;
pub mod operation;
pub mod operator;
mod pass_files;
pub mod profile;
pub mod program;
pub mod raw_broker;
pub mod release;
pub mod skip;
pub mod stranger;
pub mod tunnelctl;
pub mod vendor;
pub mod wait;
pub mod world;

use std::time::Duration;

/// How long anything is waited for; far beyond what it takes, so that only what hangs runs into it.
pub const PATIENCE: Duration = Duration::from_secs(20);
