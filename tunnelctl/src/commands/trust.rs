//! `trust`: the vendor's trust bundle at the broker, verified by the pinned vendor keys.

use std::path::Path;

use prost::Message;
use serde_json::{Value, json};
use tunnel_certs::{
    file,
    key::PublicKey,
    roots::Roots,
    statement::{
        envelope::{self, PayloadType},
        trust_bundle::{OpenError, TrustBundle},
    },
    verify::Summary,
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::layout;

use crate::{
    app::App,
    cli::Trust,
    console::{Format, safe, when},
    ending::Ending,
    failure::Failure,
    office::Office,
    signing,
    trust::{Current, Error},
};

pub(super) async fn run(app: &mut App, command: Trust) -> Result<Ending, Failure> {
    match command {
        Trust::Show { out } => show(app, out.as_deref()).await,
        Trust::Publish { file } => publish(app, &file).await,
    }
}

async fn show(app: &mut App, out: Option<&Path>) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let now = app.clock.now();
    let current = office.trust().await?;
    if let Some(path) = out {
        file::write(path, &current.envelope.encode_to_vec()).map_err(signing::Error::File)?;
    }
    match app.console.format() {
        Format::Json => app.console.json(&value(&current)),
        Format::Text => app.console.print(text(&current.bundle, now)),
    }
    warn(app, &current.bundle, now);
    Ok(Ending::OK)
}

fn warn(app: &mut App, bundle: &TrustBundle, now: UnixMillis) {
    if bundle.expires <= now.plus(crate::entries::DUE) {
        let until = when::until(bundle.expires, now);
        app.console.warn(format_args!("the trust bundle ends {until}: publish one with a higher sequence"));
        app.console.note("  tunnel-certs rotate renew --vendor-key vendor.key");
    }
}

async fn publish(app: &mut App, path: &Path) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let now = app.clock.now();
    // A broker that was restored shows an older one than was seen here, and needs the next one most of all.
    let current = office.trust.open(office.api().trust().await?.ok_or(Error::Missing)?)?;
    let signed = signing::signed(path, PayloadType::TrustBundle)?;
    let bundle = match current.bundle.open_next(&signed.encode_to_vec(), now) {
        Ok(next) => next,
        // The very bundle in force: published before.
        Err(OpenError::NotNewer { .. }) if signed == current.envelope => current.bundle,
        Err(error) => return Err(Error::Bundle(error).into()),
    };
    office.trust.check_newest(bundle.sequence, &envelope::digest(&signed))?;
    office.api().publish_trust(signed.clone()).await?;
    // A bundle that only a key signed that is new in the current list is not yet believed here: it is not remembered.
    let believed = office.trust.accept(Some(signed)).is_ok();
    let (sequence, until) = (bundle.sequence, when::until(bundle.expires, now));
    let value = json!({ "event": "published", "sequence": sequence, "expiresMs": bundle.expires.0 });
    app.console.result(&value, format_args!("trust bundle {sequence} published, good until {until}"));
    if !believed {
        app.console.warn("it is signed by a vendor key that this context does not pin: log in again with it");
    }
    app.console.note("Who has taken it: tunnel-certs rotate status");
    Ok(Ending::OK)
}

fn value(current: &Current) -> Value {
    let bundle = &current.bundle;
    json!({
        "vendor": bundle.vendor.as_str(), "suffix": bundle.suffix.as_str(), "sequence": bundle.sequence,
        "expiresMs": bundle.expires.0, "digest": current.digest.to_string(), "vendorKeys": ids(&bundle.vendor_keys),
        "meshRoots": roots(&bundle.mesh_roots), "operatorRoots": roots(&bundle.operator_roots),
        "releaseKeys": ids(&bundle.release_keys), "releaseThreshold": bundle.release_threshold,
        "brokerAddresses": bundle.broker_addresses, "allowedPrivateAddresses": bundle.allowed_private_addresses,
    })
}

fn text(bundle: &TrustBundle, now: UnixMillis) -> String {
    let mut fields = vec![
        ("Vendor", bundle.vendor.to_string()),
        ("Suffix", bundle.suffix.to_string()),
        ("Sequence", bundle.sequence.to_string()),
        ("Expires", when::until(bundle.expires, now)),
    ];
    fields.extend(ids(&bundle.vendor_keys).into_iter().map(|id| ("Vendor key", id)));
    fields.extend(roots(&bundle.mesh_roots).into_iter().map(|root| ("Mesh CA", root)));
    fields.extend(roots(&bundle.operator_roots).into_iter().map(|root| ("Operator CA", root)));
    fields.extend(ids(&bundle.release_keys).into_iter().map(|id| ("Release key", id)));
    fields.extend(bundle.broker_addresses.iter().map(|address| ("Broker", safe(address))));
    layout::fields(&fields).trim_end().to_owned()
}

fn ids(keys: &[PublicKey]) -> Vec<String> {
    keys.iter().map(|key| data_encoding::HEXLOWER.encode(&key.keyid()[..16])).collect()
}

fn roots(roots: &Roots) -> Vec<String> {
    roots.certificates().iter().map(|der| root(der)).collect()
}

/// `CN=Postern mesh CA initech 1f2e3d4c, until …`.
pub(crate) fn root(der: &[u8]) -> String {
    match Summary::read(der) {
        Ok(summary) => format!("{}, until {}", safe(&summary.subject), summary.not_after),
        Err(error) => safe(&error.to_string()),
    }
}
