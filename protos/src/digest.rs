//! Fixed-size digests that name things: envelopes, sealed requests, sealing keys.

use std::fmt;

/// A value of the wrong length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {got} bytes instead of {wanted}")]
pub struct LengthError {
    what: &'static str,
    wanted: usize,
    got: usize,
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes as they are.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first 8 hexadecimal digits, for logs.
            pub fn short(&self) -> String {
                data_encoding::HEXLOWER.encode(&self.0[..4])
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = LengthError;

            fn try_from(bytes: &[u8]) -> Result<Self, LengthError> {
                let fixed = bytes.try_into().map_err(|_| LengthError {
                    what: $what,
                    wanted: $len,
                    got: bytes.len(),
                })?;
                Ok(Self(fixed))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

digest! {
    /// SHA-256 over the pre-authentication encoding of an envelope: what is signed, approved and put into words.
    Digest, 32, "a digest"
}

digest! {
    /// `SHA-256(label ‖ key_id ‖ enc ‖ ciphertext)` of a sealed request: all that a broker knows it by.
    EnvelopeId, 32, "an envelope id"
}

digest! {
    /// First 8 bytes of SHA-256 over a raw X25519 sealing key.
    SealingKeyId, 8, "a sealing key id"
}

digest! {
    /// 32 random bytes from the client, accepted once: ties an approval that names no request to one moment.
    Challenge, 32, "a challenge"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_wrong_length() {
        assert!(Digest::try_from(&[0u8; 31][..]).is_err());
        assert!(Digest::try_from(&[0u8; 33][..]).is_err());
        let error = SealingKeyId::try_from(&[][..]).unwrap_err();
        assert_eq!(error.to_string(), "a sealing key id has 0 bytes instead of 8");
    }

    #[test]
    fn prints_as_hex() {
        assert_eq!(SealingKeyId::new([0xab; 8]).to_string(), "abababababababab");
    }
}
