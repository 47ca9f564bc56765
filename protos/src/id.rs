//! Random identities: labels, doors, requests and grants.

use std::{fmt, str::FromStr};

use data_encoding::{Encoding, Specification};
use uuid::Uuid;

/// A text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}")]
pub struct IdError {
    what: &'static str,
}

/// RFC 4648 base32, lower case, unpadded; the only base32 in use.
pub fn base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str(BASE32_ALPHABET);
    // Spare bits are not checked: a door's last character carries two.
    specification.check_trailing_bits = false;
    specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
}

macro_rules! base32_id {
    ($(#[$doc:meta])* $name:ident, $chars:literal, $random:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $chars]);

        impl $name {
            /// Length in characters.
            pub const CHARS: usize = $chars;

            /// The text form.
            pub fn as_str(&self) -> &str {
                // Only ASCII characters of the alphabet are ever stored.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }

            /// The id that these random bytes spell; bytes beyond its length are not used.
            pub fn from_random(bytes: [u8; $random]) -> Self {
                let mut chars = [0; $chars];
                let text = base32().encode(&bytes);
                chars.copy_from_slice(&text.as_bytes()[..$chars]);
                Self(chars)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = IdError { what: $what };
                let chars: [u8; $chars] = text.as_bytes().try_into().map_err(|_| error.clone())?;
                if chars.iter().all(|c| BASE32_ALPHABET.as_bytes().contains(c)) { Ok(Self(chars)) } else { Err(error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

base32_id! {
    /// A cluster's opaque name in DNS and SNI: 10 random base32 characters.
    Label, 10, 17, "a label (10 characters of a-z2-7)"
}

base32_id! {
    /// The DNS label of a grant and target: 128 random bits as 26 base32 characters. A routing name, not a secret.
    Door, 26, 17, "a door (26 characters of a-z2-7)"
}

base32_id! {
    /// Names an enrollment token: 128 random bits as 26 base32 characters. Not a secret; the bundle's secret is.
    TokenId, 26, 16, "a token id (26 characters of a-z2-7)"
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// The UUID.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            /// The first 8 characters, for logs.
            pub fn short(&self) -> String {
                self.to_string().chars().take(8).collect()
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let id = Uuid::try_parse(text).map_err(|_| IdError { what: $what })?;
                // One spelling only: an id is compared as text in places, and a second spelling would be a second id.
                let canonical = id.get_version_num() == 4 && id.hyphenated().to_string() == text;
                if canonical { Ok(Self(id)) } else { Err(IdError { what: $what }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

uuid_id! {
    /// The id of a request, a random UUID (RFC 9562, version 4), chosen by the operator.
    RequestId, "a request id (UUIDv4, lower case)"
}

uuid_id! {
    /// The id of a grant: that of the request it came from.
    GrantId, "a grant id (UUIDv4, lower case)"
}

uuid_id! {
    /// The id of one pause: what a resume names, so that it never ends a later one.
    PauseId, "a pause id (UUIDv4, lower case)"
}

impl PauseId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl RequestId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl From<RequestId> for GrantId {
    fn from(id: RequestId) -> Self {
        Self(id.0)
    }
}

impl From<GrantId> for RequestId {
    fn from(id: GrantId) -> Self {
        Self(id.0)
    }
}

const BASE32_ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz234567";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_doors_take_only_their_alphabet_and_length() {
        assert!("k3v7aaaaaa".parse::<Label>().is_ok());
        for bad in ["k3v7aaaaa", "k3v7aaaaaaa", "K3v7aaaaaa", "k3v8aaaaa1", "k3v7aaaaa.", "k3v7aaaaaé", ""] {
            assert!(bad.parse::<Label>().is_err(), "{bad}");
        }
        let door = Door::from_random([0xff; 17]);
        assert_eq!(door.as_str().len(), 26);
        assert_eq!(door.to_string().parse::<Door>(), Ok(door));
    }

    #[test]
    fn token_ids_survive_their_text() {
        for random in [[0; 16], [0xff; 16], *b"0123456789abcdef"] {
            let id = TokenId::from_random(random);
            assert_eq!(id.to_string().parse::<TokenId>(), Ok(id));
        }
        assert_ne!(TokenId::from_random([0; 16]), TokenId::from_random([1; 16]));
        for bad in ["", "a", "K3v7aaaaaaaaaaaaaaaaaaaaaa", "k3v7aaaaaaaaaaaaaaaaaaaaa\n"] {
            assert!(bad.parse::<TokenId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn request_ids_have_one_spelling_and_version_four() {
        let id = RequestId::random();
        assert_eq!(id.to_string().parse::<RequestId>(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<RequestId>().is_err());
        assert!(id.as_uuid().simple().to_string().parse::<RequestId>().is_err());
        assert!("00000000-0000-1000-8000-000000000000".parse::<RequestId>().is_err());
    }

    #[test]
    fn a_grant_has_its_requests_id() {
        let id = RequestId::random();
        assert_eq!(GrantId::from(id).to_string(), id.to_string());
    }
}
