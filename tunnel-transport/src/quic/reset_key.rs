//! The key of stateless resets; persisted, so that a restarted broker can tell replicas at once that it forgot them.

use std::{fmt, sync::Arc};

use aws_lc_rs::hmac;

/// 32 random bytes that must survive restarts and never leave the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct ResetKey([u8; Self::LENGTH]);

impl ResetKey {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// Takes the bytes that were stored, or new random ones.
    pub const fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes to store, in a file that only the broker can read.
    pub const fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    pub(super) fn hmac(&self) -> Arc<dyn quinn::crypto::HmacKey> {
        Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &self.0))
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_printed() {
        assert_eq!(format!("{:?}", ResetKey::new([0xab; 32])), "ResetKey(***)");
    }
}
