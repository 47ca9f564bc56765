//! The gate: ends an operator's TLS, decides on every call, and forwards what may pass to the engine.
//!
//! It sees grants only through the read-only [`grants::GrantsView`]; nothing here can widen a grant.

pub mod grants;
