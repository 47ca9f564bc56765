//! The steps of the demo, by who acts.

pub mod broker;
pub mod calls;
pub mod customer;
pub mod operations;
pub mod operator;
pub mod vendor;
