//! Harness that runs the real programs, the reference engine, labs and benches.

pub mod bench;
pub mod demo;
pub mod dice;
pub mod engine_tls;
pub mod etcd;
pub mod fuzz;
pub mod generated;
pub mod harness;
pub mod kube;
pub mod netns;
pub mod reference_engine;
pub mod rotation;
pub mod sbom;
pub mod supervisor;
pub mod torture;
