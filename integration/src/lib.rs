//! Harness that runs the real programs, the reference engine, labs and benches.

pub mod bench;
pub mod demo;
pub mod engine_tls;
pub mod etcd;
pub mod generated;
pub mod harness;
pub mod netns;
pub mod reference_engine;
