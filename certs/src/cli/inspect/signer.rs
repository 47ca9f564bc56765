//! Proving that a statement was signed by a key that the caller names.

use std::path::Path;

use anyhow::{Context, Result, bail};
use prost::Message;
use tunnel_protos::v1;

use crate::{
    file,
    key::PublicKey,
    statement::envelope::{self, PayloadType},
};

/// The key of a file that the caller trusts.
pub(super) fn load(path: &Path) -> Result<PublicKey> {
    let bytes = file::read(path)?;
    key(&bytes).with_context(|| path.display().to_string())
}

fn key(bytes: &[u8]) -> Result<PublicKey> {
    if let Ok(key) =
        std::str::from_utf8(bytes).map_or(Err(()), |text| PublicKey::from_pem(text).map_err(drop))
    {
        return Ok(key);
    }
    let envelope = v1::Envelope::decode(bytes).context("neither a public key nor a statement")?;
    let raw = if envelope.payload_type == PayloadType::Inventory.as_str() {
        v1::InventoryEntry::decode(&envelope.payload[..])?.cluster_key
    } else if envelope.payload_type == PayloadType::Registration.as_str() {
        v1::Registration::decode(&envelope.payload[..])?.cluster_key
    } else {
        bail!("a statement without a cluster key: name a registration or an inventory entry");
    };
    Ok(PublicKey::from_ed25519_raw(&raw)?)
}

/// Fails unless `bytes` are a statement that `key` signed.
pub(super) fn prove(bytes: &[u8], key: &PublicKey) -> Result<()> {
    let envelope = v1::Envelope::decode(bytes).context("not a statement")?;
    let keys = std::slice::from_ref(key);
    envelope::verify(&envelope, keys, 1).context("not signed by the key of --signed-by").map(drop)
}
