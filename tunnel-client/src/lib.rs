//! The customer's side of the tunnel: gate, requests, policy, engine.

pub mod app;
pub mod approvers;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
mod disk;
pub mod doctor;
pub mod engine;
pub mod enrollment;
pub mod gate;
pub mod keys;
mod mark;
pub mod metrics;
pub mod notify;
pub mod operations;
pub mod policy;
pub mod requests;
pub mod store;
pub mod trust;
pub mod tunnels;
