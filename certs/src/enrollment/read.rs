//! From what was delivered to the typed bundle: one spelling of the bytes, grammar and bounds of each field.

use prost::Message;
use tunnel_protos::{
    UnixMillis,
    v1::{self, TokenKind},
};
use zeroize::{Zeroize, Zeroizing};

use super::{Bundle, MAX_BYTES, OpenError, Secret, VERSION};
use crate::{
    key::PublicKey,
    statement::trust_bundle::{self, TrustBundle},
};

/// The bundle's bytes, of itself or of its text.
pub(super) fn bytes(delivered: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    // The first byte of a bundle is 8, which no text has.
    let is_text = delivered.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let bytes = if is_text { decode(delivered)? } else { Zeroizing::new(delivered.to_vec()) };
    if bytes.len() > MAX_BYTES { Err(OpenError::TooLarge) } else { Ok(bytes) }
}

/// Base64url; white space anywhere and padding at the end are what mail and shells add.
fn decode(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
    bare.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let padding = bare.iter().rev().take_while(|byte| **byte == b'=').count();
    let end = bare.len() - padding;
    let decoded = data_encoding::BASE64URL_NOPAD.decode(&bare[..end]);
    decoded.map(Zeroizing::new).map_err(|_| OpenError::Malformed)
}

pub(super) fn bundle(bytes: &[u8]) -> Result<Bundle, OpenError> {
    let mut message = v1::EnrollmentBundle::decode(bytes).map_err(|_| OpenError::Malformed)?;
    let secret = Zeroizing::new(std::mem::take(&mut message.secret));
    check_spelling(bytes, &mut message, &secret)?;
    let bundle = fields(message, &secret)?;
    check_trust(&bundle)?;
    Ok(bundle)
}

/// Exactly the bytes that we would write: no unknown field, no second spelling. Reflection, which refuses unknown
/// fields elsewhere, would leave copies of the secret that nobody wipes.
fn check_spelling(
    bytes: &[u8],
    message: &mut v1::EnrollmentBundle,
    secret: &Zeroizing<Vec<u8>>,
) -> Result<(), OpenError> {
    message.secret.clone_from(secret);
    let again = Zeroizing::new(message.encode_to_vec());
    message.secret.zeroize();
    if again[..] == *bytes { Ok(()) } else { Err(OpenError::Malformed) }
}

fn fields(message: v1::EnrollmentBundle, secret: &[u8]) -> Result<Bundle, OpenError> {
    if message.version != VERSION {
        return Err(OpenError::Malformed);
    }
    let kind = match message.kind() {
        TokenKind::Unspecified => return Err(OpenError::Field("kind")),
        kind => kind,
    };
    Ok(Bundle {
        vendor: message.vendor.parse().map_err(|_| OpenError::Field("vendor"))?,
        suffix: message.suffix.parse().map_err(|_| OpenError::Field("suffix"))?,
        broker_addresses: addresses(message.broker_addresses)?,
        vendor_keys: vendor_keys(&message.vendor_keys)?,
        trust_bundle: message.trust_bundle.ok_or(OpenError::Field("trust bundle"))?,
        cluster: message.cluster.parse().map_err(|_| OpenError::Field("cluster"))?,
        label: message.label.parse().map_err(|_| OpenError::Field("label"))?,
        kind,
        token: message.token_id.parse().map_err(|_| OpenError::Field("token"))?,
        secret: Secret::try_from(secret).map_err(|_| OpenError::Field("secret"))?,
        expires: UnixMillis(message.expires_ms),
    })
}

fn addresses(addresses: Vec<String>) -> Result<Vec<String>, OpenError> {
    let fits = (1..=MAX_ADDRESSES).contains(&addresses.len());
    let all = fits && addresses.iter().all(|address| trust_bundle::is_host_port(address));
    if all { Ok(addresses) } else { Err(OpenError::Field("broker addresses")) }
}

fn vendor_keys(raw: &[Vec<u8>]) -> Result<Vec<PublicKey>, OpenError> {
    let error = || OpenError::Field("vendor keys");
    if !(1..=MAX_KEYS).contains(&raw.len()) {
        return Err(error());
    }
    raw.iter().map(|raw| PublicKey::from_ed25519_raw(raw).map_err(|_| error())).collect()
}

/// The trust bundle is of the keys, the vendor and the suffix beside it; its time is the caller's to look at.
fn check_trust(bundle: &Bundle) -> Result<(), OpenError> {
    let bytes = bundle.trust_bundle.encode_to_vec();
    let trust = TrustBundle::open_at_any_time(&bytes, &bundle.vendor_keys).map_err(OpenError::Trust)?;
    let same = trust.vendor == bundle.vendor && trust.suffix == bundle.suffix;
    if same { Ok(()) } else { Err(OpenError::OtherVendor) }
}

const MAX_ADDRESSES: usize = 64;
const MAX_KEYS: usize = 8;
