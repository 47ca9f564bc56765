//! The vendor's side of the tunnel: accepts, routes and splices ciphertext.
//!
//! It knows neither policy nor grants nor engines, and never sees the plaintext of a request.
#![allow(clippy::todo, clippy::unused_async, dead_code)]

mod accept;
pub mod config;
mod store;

mod broker;

pub use self::{
    broker::{Addresses, Broker, BuildError, Running},
    config::Config,
};
