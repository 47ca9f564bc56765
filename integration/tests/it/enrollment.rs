//! Enrollment by the real programs when something goes wrong on the way: each ends well, or says what to do.

mod absent;
mod backup;
mod bundles;
mod clocks;
mod cut;
mod further;
pub(crate) mod lab;
mod rotations;
mod webhook;
