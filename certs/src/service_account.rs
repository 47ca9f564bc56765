//! Kubernetes service-account tokens: JSON Web Tokens against the key set of a registration; RS256 and ES256 only.
//!
//! Small and strict: the algorithm comes from the key that the token names, the audience is exactly one, and nothing
//! of a token is believed before its signature.

mod keys;
mod token;

use tunnel_protos::{Label, UnixMillis, VendorName};

use self::{keys::KeySet, token::Parts};

/// What a token must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The only audience.
    pub audience: String,
    /// `iss`, as the registration pinned it.
    pub issuer: String,
    /// `sub`, as the registration pinned it.
    pub subject: String,
}

/// What a token said, once proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who made it.
    pub issuer: String,
    /// Whose it is.
    pub subject: String,
    /// When it ends.
    pub expires: UnixMillis,
}

/// Why a token was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// More bytes than any honest one.
    #[error("the {0} is too large")]
    TooLarge(&'static str),
    /// Not a token in compact form, or with a header that we do not understand.
    #[error("not a JSON Web Token that is accepted here")]
    Malformed,
    /// The registration's key set cannot be read.
    #[error("the registration's JSON Web Key Set is malformed")]
    KeySet,
    /// `none`, symmetric, or another algorithm than we verify.
    #[error("the token's algorithm is not RS256 or ES256")]
    Algorithm,
    /// Not a key of the registration; the cluster may have rotated it.
    #[error("the token is signed by a key that the registration does not name")]
    UnknownKey,
    /// Forged or damaged.
    #[error("the token's signature does not verify")]
    Signature,
    /// For another audience, from another issuer or for another account.
    #[error("the token's {0} is not the expected one")]
    Claim(&'static str),
    /// Over.
    #[error("the token has expired")]
    Expired,
    /// Not yet valid.
    #[error("the token is not valid yet; are the clocks right?")]
    NotYetValid,
}

/// The audience that a replica of `label` asks its token for.
pub fn audience(vendor: &VendorName, label: &Label) -> String {
    format!("postern/{vendor}/{label}")
}

/// Whether a key set has at least one key that a token could be verified with.
pub fn check_key_set(jwks: &[u8]) -> Result<(), TokenError> {
    KeySet::read(jwks).map(drop)
}

/// Verifies a token against a key set: signature first, then who, for whom and when.
pub fn verify(jwks: &[u8], token: &str, expected: &Expected, now: UnixMillis) -> Result<Claims, TokenError> {
    let keys = KeySet::read(jwks)?;
    let parts = Parts::split(token)?;
    let header = parts.header()?;
    let key = keys.find(&header.kid, header.algorithm()?)?;
    key.verify(parts.signed, &parts.signature()?)?;
    parts.claims()?.check(expected, now)
}

/// Most bytes of a key set.
pub const MAX_KEY_SET: usize = 16 * 1024;

#[cfg(test)]
mod tests;
