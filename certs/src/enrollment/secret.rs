//! The bundle's secret, and the two that it gives: one for the broker, one that only the two ends have.

use std::fmt;

use tunnel_protos::v1;
use zeroize::Zeroizing;

use crate::{crypto, statement::envelope};

/// Bytes of another length than a secret's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret has 32 bytes")]
pub struct SecretError;

/// The registration is not what the holder of the bundle sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the registration was not made with this enrollment bundle: it was altered on its way, or is another's"
)]
pub struct MacError;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<[u8; 32]>);

        impl $name {
            /// Takes the bytes as they are.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(Zeroizing::new(bytes))
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = SecretError;

            fn try_from(bytes: &[u8]) -> Result<Self, SecretError> {
                bytes.try_into().map(Self::from_bytes).map_err(|_| SecretError)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret! {
    /// The secret of an enrollment bundle, which never travels but in the bundle.
    Secret
}

secret! {
    /// What the broker is shown, and of which it knows only the digest before.
    BrokerSecret
}

secret! {
    /// What the customer and the administrator have and the broker does not: it proves the registration.
    EndsSecret
}

impl Secret {
    /// A new one.
    pub fn random() -> Self {
        Self::from_bytes(crypto::random())
    }

    /// For redeeming at the broker.
    pub fn broker_secret(&self) -> BrokerSecret {
        BrokerSecret(crypto::derive(&self.0[..], b"postern/v1/enroll/broker"))
    }

    /// For the MAC of the registration.
    pub fn ends_secret(&self) -> EndsSecret {
        EndsSecret(crypto::derive(&self.0[..], b"postern/v1/enroll/ends"))
    }
}

impl BrokerSecret {
    /// What the broker keeps to know it by.
    pub fn sha256(&self) -> [u8; 32] {
        crypto::sha256(&self.0[..])
    }
}

impl EndsSecret {
    /// HMAC-SHA-256 over the registration's pre-authentication encoding.
    pub fn mac(&self, registration: &v1::Envelope) -> [u8; 32] {
        crypto::hmac_sha256(&self.0[..], &envelope::signed_bytes(registration))
    }

    /// Checks the MAC of exactly these received bytes, in the same time whatever differs.
    pub fn check(&self, registration: &v1::Envelope, mac: &[u8]) -> Result<(), MacError> {
        let holds = crypto::is_hmac_sha256(&self.0[..], &envelope::signed_bytes(registration), mac);
        if holds { Ok(()) } else { Err(MacError) }
    }
}
