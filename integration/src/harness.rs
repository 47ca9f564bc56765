//! Runs the real programs with throw-away keys: in this process on port 0, or as child processes.
//!
//! Nothing here weakens a program: it gets a real configuration file, real certificates and a real store.

pub mod api_ca;
pub mod program;
pub mod vendor;
pub mod wait;
