//! The ways in.

pub mod hello;
pub mod route;
