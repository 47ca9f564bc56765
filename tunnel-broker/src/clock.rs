//! The broker's wall clock, read in one place; what decides takes the time as an argument.

use std::time::SystemTime;

use tunnel_protos::UnixMillis;

/// Now.
pub(crate) fn now() -> UnixMillis {
    UnixMillis::from_system(SystemTime::now())
}
