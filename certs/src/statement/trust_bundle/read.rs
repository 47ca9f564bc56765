//! From the message to the typed bundle: grammar and bounds of each field.

use std::net::IpAddr;

use rustls_pki_types::CertificateDer;
use tunnel_protos::{UnixMillis, v1};

use super::{OpenError, TrustBundle, VERSION};
use crate::{key::PublicKey, roots::Roots};

pub(super) fn bundle(message: v1::TrustBundle) -> Result<TrustBundle, OpenError> {
    if message.version != VERSION {
        return Err(OpenError::Field("version"));
    }
    check_release_keys(&message)?;
    check_addresses(&message)?;
    Ok(TrustBundle {
        vendor: message.vendor.parse().map_err(|_| OpenError::Field("vendor"))?,
        suffix: message.suffix.parse().map_err(|_| OpenError::Field("suffix"))?,
        sequence: message.sequence,
        expires: UnixMillis(message.expires_ms),
        vendor_keys: keys("vendor keys", &message.vendor_keys, 1)?,
        mesh_roots: roots("mesh roots", message.mesh_roots)?,
        operator_roots: roots("operator roots", message.operator_roots)?,
        release_keys: keys("release keys", &message.release_keys, 0)?,
        release_threshold: message.release_threshold,
        broker_addresses: message.broker_addresses,
        allowed_private_addresses: message.allowed_private_addresses,
    })
}

/// A threshold that no number of keys reaches, or that none needs, is a mistake.
fn check_release_keys(message: &v1::TrustBundle) -> Result<(), OpenError> {
    let threshold = usize::try_from(message.release_threshold).unwrap_or(usize::MAX);
    let fits = match message.release_keys.len() {
        0 => threshold == 0,
        count => (1..=count).contains(&threshold),
    };
    if fits { Ok(()) } else { Err(OpenError::Field("release threshold")) }
}

fn check_addresses(message: &v1::TrustBundle) -> Result<(), OpenError> {
    let brokers = &message.broker_addresses;
    if brokers.len() > MAX_ADDRESSES || !brokers.iter().all(|address| is_host_port(address)) {
        return Err(OpenError::Field("broker addresses"));
    }
    let private = &message.allowed_private_addresses;
    if private.len() > MAX_ADDRESSES || !private.iter().all(|block| is_block(block)) {
        return Err(OpenError::Field("allowed private addresses"));
    }
    Ok(())
}

fn keys(name: &'static str, raw: &[Vec<u8>], least: usize) -> Result<Vec<PublicKey>, OpenError> {
    if !(least..=MAX_KEYS).contains(&raw.len()) {
        return Err(OpenError::Field(name));
    }
    raw.iter().map(|raw| PublicKey::from_ed25519_raw(raw).map_err(|_| OpenError::Field(name))).collect()
}

fn roots(name: &'static str, ders: Vec<Vec<u8>>) -> Result<Roots, OpenError> {
    if ders.len() > MAX_ROOTS {
        return Err(OpenError::Field(name));
    }
    let ders = ders.into_iter().map(CertificateDer::from).collect();
    Roots::new(ders).map_err(|_| OpenError::Field(name))
}

/// `host:port` or `[IPv6]:port`.
pub(crate) fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_host(host),
    };
    host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn is_host(host: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    (1..=253).contains(&host.len()) && host.bytes().all(allowed)
}

/// `address/prefix length`.
fn is_block(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

const MAX_KEYS: usize = 8;
const MAX_ROOTS: usize = 4;
const MAX_ADDRESSES: usize = 64;
