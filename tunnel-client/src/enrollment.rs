//! Becoming a cluster of a vendor and staying one.
//!
//! Invariant: no broker can make requests be taken. They are taken only under an inventory entry that a vendor key
//! signed, that holds this cluster's own keys, and that a person of the customer confirmed.

mod home;

pub use self::home::{Home, HomeError};
