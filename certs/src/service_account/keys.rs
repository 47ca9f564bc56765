//! A JSON Web Key Set: the RSA and P-256 keys of it; others are passed over.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::{MAX_KEY_SET, TokenError};

/// The two algorithms that Kubernetes signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    /// Exactly these two spellings: `none` and the symmetric ones have no key here.
    pub(super) fn named(name: &str) -> Result<Self, TokenError> {
        let known = [Self::Rs256, Self::Es256].into_iter().find(|algorithm| algorithm.name() == name);
        known.ok_or(TokenError::Algorithm)
    }
}

/// The usable keys.
pub(super) struct KeySet(Vec<Key>);

pub(super) struct Key {
    id: String,
    material: Material,
}

enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { point: Vec<u8> },
}

#[derive(Deserialize)]
struct WrittenSet {
    keys: Vec<WrittenKey>,
}

#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Takes at least one usable key; two with the same id would leave it to chance which one counts.
    pub(super) fn read(jwks: &[u8]) -> Result<Self, TokenError> {
        if jwks.len() > MAX_KEY_SET {
            return Err(TokenError::TooLarge("key set"));
        }
        let written: WrittenSet = serde_json::from_slice(jwks).map_err(|_| TokenError::KeySet)?;
        let keys: Vec<_> = written.keys.into_iter().filter_map(WrittenKey::read).collect();
        let twice = |key: &Key| keys.iter().filter(|other| other.id == key.id).count() > 1;
        if keys.is_empty() || keys.iter().any(twice) { Err(TokenError::KeySet) } else { Ok(Self(keys)) }
    }

    /// The key with this id, if it is one for this algorithm.
    pub(super) fn find(&self, id: &str, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let key = self.0.iter().find(|key| key.id == id).ok_or(TokenError::UnknownKey)?;
        if key.algorithm() == algorithm { Ok(key) } else { Err(TokenError::Algorithm) }
    }
}

impl Key {
    /// That of its material: a token cannot choose another for it.
    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256 { .. } => Algorithm::Es256,
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let verified = match &self.material {
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Material::P256 { point } => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
        };
        verified.map_err(|_| TokenError::Signature)
    }
}

impl WrittenKey {
    /// None for keys of another kind, for another use, or without an id.
    fn read(self) -> Option<Key> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => rsa(&self.n?, &self.e?)?,
            ("EC", Some("P-256")) => p256(&self.x?, &self.y?)?,
            _ => return None,
        };
        let key = Key { id: self.kid?, material };
        let fits = self.alg.is_none_or(|alg| alg == key.algorithm().name());
        fits.then_some(key)
    }
}

fn rsa(n: &str, e: &str) -> Option<Material> {
    let (n, e) = (decode(n)?, decode(e)?);
    // Every issuer in use has this exponent; tiny ones have been attacked.
    (e == [1, 0, 1]).then_some(Material::Rsa { n, e })
}

fn p256(x: &str, y: &str) -> Option<Material> {
    let (x, y) = (decode(x)?, decode(y)?);
    let whole = x.len() == 32 && y.len() == 32;
    whole.then(|| Material::P256 { point: [&[4], &x[..], &y[..]].concat() })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}
