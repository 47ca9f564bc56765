//! From the message to the typed registration: grammar and bounds of each field.

use tunnel_protos::{PersonText, TokenId, v1};

use super::{OpenError, Registration, VERSION};
use crate::{
    key::{PublicKey, SealingPublicKey},
    service_account::MAX_KEY_SET,
};

pub(super) fn registration(message: v1::Registration) -> Result<Registration, OpenError> {
    if message.version != VERSION {
        return Err(OpenError::Field("version"));
    }
    if message.jwks.len() > MAX_KEY_SET {
        return Err(OpenError::Field("key set"));
    }
    let enrollment = enrollment(&message)?;
    let sealing_key = SealingPublicKey::try_from(&message.sealing_key[..]);
    let cluster_key = PublicKey::from_ed25519_raw(&message.cluster_key);
    Ok(Registration {
        bundle_sha256: enrollment.map(|(digest, _)| digest),
        token: enrollment.map(|(_, token)| token),
        label: message.label.parse().map_err(|_| OpenError::Field("label"))?,
        mesh_csr: message.mesh_csr,
        cluster_key: cluster_key.map_err(|_| OpenError::Field("cluster key"))?,
        sealing_key: sealing_key.map_err(|_| OpenError::Field("sealing key"))?,
        jwks: message.jwks,
        facts: facts(&message.facts)?,
    })
}

/// Both or neither: a token without its bundle would be an enrollment that no MAC is asked for.
fn enrollment(message: &v1::Registration) -> Result<Option<([u8; 32], TokenId)>, OpenError> {
    if message.bundle_sha256.is_empty() && message.token_id.is_empty() {
        return Ok(None);
    }
    let error = || OpenError::Field("enrollment");
    let digest = message.bundle_sha256[..].try_into().map_err(|_| error())?;
    Ok(Some((digest, message.token_id.parse().map_err(|_| error())?)))
}

/// Names are unique: which of two is shown, and which is believed, must not depend on the reader.
fn facts(message: &[v1::Fact]) -> Result<Vec<(PersonText, PersonText)>, OpenError> {
    let text = |text: &str| text.parse().map_err(|_| OpenError::Field("fact"));
    if message.len() > MAX_FACTS {
        return Err(OpenError::Field("number of facts"));
    }
    let twice = |fact: &v1::Fact| message.iter().filter(|other| other.name == fact.name).count() > 1;
    if message.iter().any(twice) {
        return Err(OpenError::Field("fact"));
    }
    message.iter().map(|fact| Ok((text(&fact.name)?, text(&fact.value)?))).collect()
}

/// As many as a person reads.
const MAX_FACTS: usize = 16;
