//! Signed statements: for each kind its maker beside its opener, so that both ends share one truth.

pub mod ack;
pub mod approval;
pub mod envelope;
pub mod inventory;
pub mod outcome;
pub mod receipt;
pub mod registration;
pub mod release;
pub mod request;
pub mod trust_bundle;
