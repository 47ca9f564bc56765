//! The gate: ends an operator's TLS, decides on every call, and forwards what may pass to the engine.
//!
//! It sees grants only through the read-only [`grants::GrantsView`]; nothing here can widen a grant.

mod call;
mod deadline;
pub mod grants;
mod metadata;
mod methods;
pub mod status;
#[cfg(test)]
mod testing;
mod usage;
