//! The inventory entry that the customer's configuration names: whether requests are taken under it.

use tunnel_certs::{
    file,
    key::Signer,
    statement::{inventory, trust_bundle::TrustBundle},
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::chain;

use crate::{
    config::{Cluster, Config},
    keys::Keys,
    requests::Admission,
};

/// When the entry with our own keys expires, or why there is none.
pub(super) fn read(
    config: &Config,
    cluster: &Cluster,
    bundle: &TrustBundle,
    keys: &Keys,
    now: UnixMillis,
) -> Result<UnixMillis, String> {
    let Some(file) = &config.inventory_entry else {
        return Err("there is no inventory entry yet".to_owned());
    };
    let bytes = file::read(file).map_err(|error| chain(&error).to_string())?;
    let opened =
        inventory::open(&bytes, &bundle.vendor_keys, now).map_err(|error| chain(&error).to_string())?;
    let entry = opened.entry;
    if entry.label != cluster.label || entry.cluster != cluster.name {
        return Err("the inventory entry is another cluster's".to_owned());
    }
    let own = entry.cluster_key == *keys.cluster.public() && entry.sealing_key == *keys.sealing.public();
    if own { Ok(entry.expires) } else { Err("the inventory entry holds other keys than ours".to_owned()) }
}

/// Whether requests are taken; a missing or foreign entry keeps the client up and refusing.
pub(super) fn admission(entry: &Result<UnixMillis, String>) -> Admission {
    match entry {
        Ok(_) => Admission::Open,
        Err(why) => Admission::Refusing(why.clone()),
    }
}
