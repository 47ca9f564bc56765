//! The key of stateless resets; persisted, so that a restarted broker can tell replicas at once that it forgot them.
//!
//! quinn answers only connection ids that it recognizes as its own kind, so their key must survive with it.

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use quinn::EndpointConfig;
use quinn_proto::HashedConnectionIdGenerator;

/// Tells the key of connection ids apart from that of resets.
const CONNECTION_IDS: &[u8] = b"postern/v1/quic/connection-ids";
/// A restarted broker has thousands of replicas to tell; quinn's default of 20 ms would take minutes. A reset is
/// smaller than what it answers, so this amplifies nothing.
const BETWEEN_RESETS: Duration = Duration::from_millis(1);

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

    pub(super) fn endpoint(&self) -> EndpointConfig {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let ids =
            hmac::sign(&key, CONNECTION_IDS).as_ref().first_chunk().copied().map_or(0, u64::from_be_bytes);
        let mut config = EndpointConfig::new(Arc::new(key));
        config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
        config.min_reset_interval(BETWEEN_RESETS);
        config
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
