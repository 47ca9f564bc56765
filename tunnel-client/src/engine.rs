//! The engine beside us: its profile, targets, connections, credentials, health, and calls without generated code.
//!
//! What the engine says is data of a stranger: bounded in size and time, and never believed about itself.

pub mod endpoint;
pub mod profile;

pub use self::{
    endpoint::{Endpoint, EndpointError},
    profile::{Profile, ProfileError},
};
