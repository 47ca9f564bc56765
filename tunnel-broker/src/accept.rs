//! The ways in.

pub(crate) mod hello;
pub(crate) mod route;
