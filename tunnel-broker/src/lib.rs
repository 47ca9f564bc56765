//! The vendor's side of the tunnel: accepts, routes and splices ciphertext.

pub mod accept;
pub mod store;
