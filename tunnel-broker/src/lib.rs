//! The vendor's side of the tunnel: accepts, routes and splices ciphertext.
//!
//! It knows neither policy nor grants nor engines, and never sees the plaintext of a request.

pub mod cli;
pub mod config;
pub mod doctor;
pub mod metrics;

mod accept;
mod broker;
mod bucket;
mod clock;
mod enroll;
mod entries;
mod lanes;
mod mailbox;
mod operators;
mod sessions;
mod store;
mod trust;
mod tunnels;

pub use self::{
    accept::hello::fuzz_client_hello,
    broker::{Addresses, Broker, BuildError, Running, StateError},
    config::Config,
    enroll::{EnrollError, LeafError, fuzz_enroll_frames},
    store::{OpenError, StoreError},
    trust::TrustError,
};
