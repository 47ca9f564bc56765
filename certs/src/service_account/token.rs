//! The three parts of a token, and what its claims must say.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, de::IgnoredAny};
use tunnel_protos::UnixMillis;

use super::{Claims, Expected, TokenError, keys::Algorithm};

/// A token as it came; nothing of it is proven.
pub(super) struct Parts<'t> {
    header: &'t str,
    claims: &'t str,
    signature: &'t str,
    /// What the signature covers.
    pub(super) signed: &'t [u8],
}

/// What the token says of its signature.
#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    pub(super) kid: String,
    typ: Option<String>,
    /// Extensions that must be understood; we understand none.
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Written {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl<'t> Parts<'t> {
    pub(super) fn split(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLarge("token"));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        Ok(Self { header, claims, signature, signed: message.as_bytes() })
    }

    pub(super) fn header(&self) -> Result<Header, TokenError> {
        let header: Header = json(self.header)?;
        let known = header.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        if known && header.crit.is_none() { Ok(header) } else { Err(TokenError::Malformed) }
    }

    pub(super) fn signature(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.signature)
    }

    /// Only after the signature was verified.
    pub(super) fn claims(&self) -> Result<Written, TokenError> {
        json(self.claims)
    }
}

impl Header {
    pub(super) fn algorithm(&self) -> Result<Algorithm, TokenError> {
        Algorithm::named(&self.alg)
    }
}

impl Written {
    pub(super) fn check(self, expected: &Expected, now: UnixMillis) -> Result<Claims, TokenError> {
        if !self.aud.is_only(&expected.audience) {
            return Err(TokenError::Claim("audience"));
        }
        if self.iss != expected.issuer {
            return Err(TokenError::Claim("issuer"));
        }
        if self.sub != expected.subject {
            return Err(TokenError::Claim("subject"));
        }
        let expires = self.check_times(now)?;
        Ok(Claims { issuer: self.iss, subject: self.sub, expires })
    }

    fn check_times(&self, now: UnixMillis) -> Result<UnixMillis, TokenError> {
        let expires = UnixMillis(self.exp.saturating_mul(1000));
        if expires <= now {
            return Err(TokenError::Expired);
        }
        let begins = [self.nbf, self.iat].into_iter().flatten().max().unwrap_or(i64::MIN);
        // The issuer's clock may be ahead of ours.
        let early = now.seconds().saturating_add(CLOCKS_SECONDS) < begins;
        if early { Err(TokenError::NotYetValid) } else { Ok(expires) }
    }
}

impl Audience {
    /// A token for two audiences could be replayed to us by the other one.
    fn is_only(&self, expected: &str) -> bool {
        match self {
            Self::One(audience) => audience == expected,
            Self::Many(audiences) => matches!(&audiences[..], [only] if only == expected),
        }
    }
}

/// A member that comes twice is an error: which one counts must not depend on the reader.
fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenError> {
    serde_json::from_slice(&decode(part)?).map_err(|_| TokenError::Malformed)
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| TokenError::Malformed)
}

/// Kubernetes' own have about 1 KiB.
const MAX_TOKEN: usize = 16 * 1024;
const CLOCKS_SECONDS: i64 = 60;
