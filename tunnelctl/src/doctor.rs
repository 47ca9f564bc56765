//! What lies between this machine and the clusters, looked at piece by piece.
//!
//! Nothing here trusts more than any other command: a handshake that shows who answers never goes on after it.

pub(crate) mod papers;
pub(crate) mod tls;

#[cfg(test)]
mod tests;
