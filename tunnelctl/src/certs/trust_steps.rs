//! Steps of the trust bundle that replace operator CA, vendor key and release keys: each adds first and removes later,
//! and refuses what would cut somebody off. Run again, a step that was done does nothing.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::Args;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use tunnel_certs::{
    credential::certificates_from_pem,
    file,
    key::{Algorithm, PublicKey},
    roots::Roots,
    statement::{inventory, trust_bundle::TrustBundle},
    verify::{OperatorVerifier, Summary},
};
use tunnel_protos::{UnixMillis, time::lasting};

use super::rotate::Signature;
use crate::{
    app::App,
    ending::Ending,
    failure::Failure,
    office::Office,
    rotation::{
        Error, OPERATOR_LIFE,
        bundle::{Made, Source, next},
    },
    signing,
    trust::Current,
};

/// `rotate operator-ca`.
#[derive(Debug, Args)]
pub(super) struct OperatorCa {
    /// The new CA's certificate (PEM), beside those in force
    #[arg(long, value_name = "FILE", required_unless_present = "remove", conflicts_with = "remove")]
    add: Option<PathBuf>,
    /// The old CA's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "last_issued")]
    remove: Option<PathBuf>,
    /// When the last identity by the old CA was issued; the identity team knows
    #[arg(long, value_name = "TIME", value_parser = time)]
    last_issued: Option<UnixMillis>,
    #[command(flatten)]
    signature: Signature,
}

/// `rotate vendor-key`.
#[derive(Debug, Args)]
pub(super) struct VendorKeys {
    /// The new key's public half (PEM)
    #[arg(long, value_name = "FILE", required_unless_present = "remove", conflicts_with = "remove")]
    add: Option<PathBuf>,
    /// The old key's public half (PEM)
    #[arg(long, value_name = "FILE")]
    remove: Option<PathBuf>,
    #[command(flatten)]
    signature: Signature,
}

/// `rotate release-keys`.
#[derive(Debug, Args)]
pub(super) struct ReleaseKeys {
    /// A new key's public half (PEM). May be repeated
    #[arg(long, value_name = "FILE")]
    add: Vec<PathBuf>,
    /// A key that is no longer one. May be repeated
    #[arg(long, value_name = "FILE")]
    remove: Vec<PathBuf>,
    /// How many keys sign a release [default: as many as now]
    #[arg(long)]
    threshold: Option<u32>,
    #[command(flatten)]
    signature: Signature,
}

impl OperatorCa {
    pub(super) async fn run(self, app: &mut App) -> Result<Ending, Failure> {
        let office = Office::open(app)?;
        let now = app.clock.now();
        let current = office.trust().await?;
        let mut roots = current.bundle.operator_roots.certificates().to_vec();
        match (&self.add, &self.remove) {
            (Some(path), _) => {
                let ca = certificate(path)?;
                check_operator_ca(&ca, now)?;
                if !roots.contains(&ca) {
                    roots.push(ca);
                }
            }
            (None, Some(path)) => {
                let ca = certificate(path)?;
                over(self.last_issued, now)?;
                roots.retain(|root| *root != ca);
                still_ours(&office, &roots, now)?;
            }
            (None, None) => {}
        }
        let operator_roots = Roots::new(roots).map_err(Error::Bundle)?;
        let wanted = TrustBundle { operator_roots, ..next(&current.bundle, now) };
        let is_adding = self.add.is_some();
        let ending = publish(app, &office, self.signature.source(), &current, wanted).await?;
        if is_adding {
            app.console.note("When `tunnel-certs rotate status` shows that all have it, the identity team certifies by the new CA.");
        }
        Ok(ending)
    }
}

impl VendorKeys {
    pub(super) async fn run(self, app: &mut App) -> Result<Ending, Failure> {
        let office = Office::open(app)?;
        let now = app.clock.now();
        let current = office.trust().await?;
        let mut vendor_keys = current.bundle.vendor_keys.clone();
        match (&self.add, &self.remove) {
            (Some(path), _) => {
                let key = public_key(path)?;
                if !vendor_keys.contains(&key) {
                    vendor_keys.push(key);
                }
            }
            (None, Some(path)) => {
                let key = public_key(path)?;
                vendor_keys.retain(|kept| *kept != key);
                entries_are_by(&office, &vendor_keys, now).await?;
            }
            (None, None) => {}
        }
        let is_adding = self.add.is_some();
        let wanted = TrustBundle { vendor_keys, ..next(&current.bundle, now) };
        let ending = publish(app, &office, self.signature.source(), &current, wanted).await?;
        if is_adding {
            app.console.note("Next: operators log in with both keys; then tunnelctl inventory renew --all --vendor-key NEW.key");
        }
        Ok(ending)
    }
}

impl ReleaseKeys {
    pub(super) async fn run(self, app: &mut App) -> Result<Ending, Failure> {
        let office = Office::open(app)?;
        let now = app.clock.now();
        let current = office.trust().await?;
        let mut release_keys = current.bundle.release_keys.clone();
        for path in &self.remove {
            let key = public_key(path)?;
            release_keys.retain(|kept| *kept != key);
        }
        for path in &self.add {
            let key = public_key(path)?;
            if !release_keys.contains(&key) {
                release_keys.push(key);
            }
        }
        let release_threshold = self.threshold.unwrap_or(current.bundle.release_threshold);
        let wanted = TrustBundle { release_keys, release_threshold, ..next(&current.bundle, now) };
        publish(app, &office, self.signature.source(), &current, wanted).await
    }
}

/// The same bundle, good for longer.
pub(super) async fn renew(app: &mut App, mut source: Source) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let now = app.clock.now();
    let current = office.trust().await?;
    let wanted = next(&current.bundle, now);
    Ok(match source.publish(app, &office, &current, &wanted).await? {
        Made::Published => Ending::OK,
        Made::Written(ending) => ending,
    })
}

async fn publish(
    app: &mut App,
    office: &Office,
    mut source: Source,
    current: &Current,
    wanted: TrustBundle,
) -> Result<Ending, Failure> {
    let same =
        TrustBundle { sequence: current.bundle.sequence, expires: current.bundle.expires, ..wanted.clone() };
    if same == current.bundle {
        let text = format!("trust bundle {} says so already", current.bundle.sequence);
        app.console.result(&json!({ "event": "nothing", "sequence": current.bundle.sequence }), text);
        return Ok(Ending::OK);
    }
    Ok(match source.publish(app, office, current, &wanted).await? {
        Made::Published => Ending::OK,
        Made::Written(ending) => ending,
    })
}

fn check_operator_ca(ca: &CertificateDer<'_>, now: UnixMillis) -> Result<(), Error> {
    let summary = Summary::read(ca).map_err(|_| Error::Refused("it is not a certificate"))?;
    if !summary.is_ca || !summary.subject.starts_with("CN=Postern operator CA ") {
        return Err(Error::Unsafe("this is not an operator CA: tunnel-certs ca operator makes one".into()));
    }
    if summary.not_after <= now {
        return Err(Error::Unsafe(format!("this CA ended at {}", summary.not_after)));
    }
    Ok(())
}

/// No identity by the old CA lives any more.
fn over(last_issued: Option<UnixMillis>, now: UnixMillis) -> Result<(), Error> {
    let last = last_issued.unwrap_or(now);
    let free = last.plus(OPERATOR_LIFE);
    if free <= now {
        return Ok(());
    }
    Err(Error::Unsafe(format!(
        "an identity by the old CA may live until {free} (in {}): run this again then",
        lasting(free.since(now))
    )))
}

/// Whoever takes away the root of the own identity is locked out with all others.
fn still_ours(office: &Office, roots: &[CertificateDer<'static>], now: UnixMillis) -> Result<(), Failure> {
    let locked = || {
        Error::Unsafe(
            "your own identity is by the CA that is to be removed: get one by the new CA first, as everybody must".into(),
        )
    };
    let roots = Roots::new(roots.to_vec()).map_err(|_| locked())?;
    let operator = &office.desk.requester.operator;
    let chain = [operator.credential.certificate().clone()];
    let verified = OperatorVerifier::new(operator.vendor.clone(), roots).verify(&chain, now);
    verified.map(drop).map_err(|_| locked().into())
}

/// Entries by a key that is gone would be refused by every operator.
async fn entries_are_by(office: &Office, keys: &[PublicKey], now: UnixMillis) -> Result<(), Failure> {
    let said = office.desk.requester.api.clusters().await?;
    let is_left = |said: &&tunnel_protos::operators::Cluster| {
        let bytes = said.entry.as_ref().map(prost::Message::encode_to_vec);
        bytes.is_none_or(|bytes| inventory::open(&bytes, keys, now).is_err())
    };
    let left: Vec<_> = said.iter().filter(is_left).map(|said| crate::console::safe(&said.cluster)).collect();
    if left.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = left.iter().map(String::as_str).collect();
    Err(Error::Unsafe(format!(
        "the entries of {} are not signed by a key that stays: tunnelctl inventory renew --all --vendor-key NEW.key",
        crate::commands::shortened(&names)
    ))
    .into())
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, Failure> {
    let pem = file::read(path).map_err(signing::Error::File)?;
    let input = |source| Failure::Input {
        what: "the CA certificate",
        path: path.display().to_string(),
        source: Box::new(source),
    };
    let mut found = certificates_from_pem(&pem).map_err(input)?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(Failure::Usage(format!("{} holds more than one certificate", path.display()))),
    }
}

fn public_key(path: &Path) -> Result<PublicKey, Failure> {
    let pem = file::read(path).map_err(signing::Error::File)?;
    let key = PublicKey::from_pem(&String::from_utf8_lossy(&pem)).map_err(|source| Failure::Input {
        what: "the public key",
        path: path.display().to_string(),
        source: Box::new(source),
    })?;
    if key.algorithm() == Algorithm::Ed25519 {
        Ok(key)
    } else {
        Err(signing::Error::Algorithm(path.into()).into())
    }
}

fn time(text: &str) -> Result<UnixMillis, String> {
    let parsed: Result<SystemTime, _> = humantime::parse_rfc3339_weak(text);
    parsed
        .map(UnixMillis::from_system)
        .map_err(|error| format!("{error}; write for example 2026-11-20T13:00:00Z"))
}
