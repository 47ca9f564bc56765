//! The next trust bundle: signed by a vendor key of this machine, or written for another one and brought back.

use std::path::PathBuf;

use prost::Message;
use tunnel_certs::{
    key::{Signer, SigningKey},
    statement::{envelope::PayloadType, trust_bundle::TrustBundle},
};
use tunnel_protos::{UnixMillis, v1::Envelope};
use tunnel_runtime::{chain::chain, exit::Exit, layout::quoted};

use super::Error;
use crate::{
    app::App,
    cli::VendorKey,
    ending::Ending,
    failure::Failure,
    office::Office,
    signing::{self, Keyring, Unsigned},
    trust::Current,
};

/// Where the signature of a trust bundle comes from.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) key: VendorKey,
    pub(crate) write_unsigned: Option<PathBuf>,
    pub(crate) signed: Option<PathBuf>,
    /// Unlocked once, when it was first needed.
    unlocked: Option<SigningKey>,
}

/// What became of a bundle that was needed.
#[derive(Debug)]
pub(crate) enum Made {
    /// It is in force.
    Published,
    /// It waits for its signature on another machine.
    Written(Ending),
}

impl Source {
    pub(crate) fn new(key: VendorKey, write_unsigned: Option<PathBuf>, signed: Option<PathBuf>) -> Self {
        Self { key, write_unsigned, signed, unlocked: None }
    }

    /// Has `wanted` signed and publishes it.
    pub(crate) async fn publish(
        &mut self,
        app: &mut App,
        office: &Office,
        current: &Current,
        wanted: &TrustBundle,
    ) -> Result<Made, Failure> {
        let Some(envelope) = self.sign(app, wanted)? else {
            return Ok(Made::Written(Exit::Waiting.into()));
        };
        let now = app.clock.now();
        // What replicas and brokers would refuse never leaves.
        current
            .bundle
            .open_next(&envelope.encode_to_vec(), now)
            .map_err(|error| Failure::Trust(crate::trust::Error::Bundle(error)))?;
        if office.trust.open(envelope.clone()).is_err() {
            return Err(Error::Unsafe(UNPINNED.into()).into());
        }
        office.api().publish_trust(envelope).await?;
        let published = office.trust().await?;
        let value = serde_json::json!({
            "event": "published", "sequence": published.bundle.sequence, "expiresMs": published.bundle.expires.0,
        });
        app.console.result(
            &value,
            format_args!(
                "trust bundle {} published, until {}",
                published.bundle.sequence, published.bundle.expires
            ),
        );
        Ok(Made::Published)
    }

    fn sign(&mut self, app: &mut App, wanted: &TrustBundle) -> Result<Option<Envelope>, Failure> {
        if let Some(path) = &self.signed {
            let envelope = signing::signed(path, PayloadType::TrustBundle)?;
            return check(&envelope, wanted).map(|()| Some(envelope)).map_err(Failure::from);
        }
        let unsigned = Unsigned::trust_bundle(wanted)?;
        if let Some(path) = &self.write_unsigned {
            unsigned.write(path)?;
            written(app, &path.display().to_string(), &unsigned);
            return Ok(None);
        }
        if self.unlocked.is_none() {
            self.unlocked = Some(Keyring::new(&self.key, &app.prompt).open()?);
        }
        let Some(key) = &self.unlocked else { return Err(signing::Error::NoKey.into()) };
        signs(key, wanted)?;
        Ok(Some(unsigned.sign(key)?))
    }
}

/// A bundle that its own keys did not sign cannot be handed to a new customer.
fn signs(key: &SigningKey, wanted: &TrustBundle) -> Result<(), Error> {
    if wanted.vendor_keys.contains(key.public()) {
        return Ok(());
    }
    Err(Error::Unsafe(
        "this vendor key is not in the list of the new trust bundle: sign with one that stays".into(),
    ))
}

fn written(app: &mut App, path: &str, unsigned: &Unsigned) {
    let words = unsigned.words().to_string();
    let value = serde_json::json!({ "event": "written", "file": path, "words": words });
    app.console.result(&value, format_args!("{path}: the trust bundle to sign, words {words}"));
    app.console.note("On the machine that has the vendor key, and then here the same command with --signed:");
    app.console.note(format_args!(
        "  tunnel-certs sign {} --vendor-key vendor.key --out trust-bundle.pb",
        quoted(path)
    ));
}

/// The next bundle: as the one in force, with a higher sequence and a new end.
pub(crate) fn next(current: &TrustBundle, now: UnixMillis) -> TrustBundle {
    let sequence = current.sequence.saturating_add(1);
    TrustBundle { sequence, expires: now.plus(TrustBundle::MAX_LIFE), ..current.clone() }
}

/// Signed elsewhere, possibly days ago: all but the end must be what is wanted now.
fn check(envelope: &Envelope, wanted: &TrustBundle) -> Result<(), Error> {
    let unlike = |what: &str| Error::Signed(what.into());
    let message: tunnel_protos::v1::TrustBundle =
        tunnel_certs::statement::envelope::payload(envelope, PayloadType::TrustBundle)
            .map_err(|error| Error::Signed(chain(&error).to_string()))?;
    let needed = Unsigned::trust_bundle(wanted).map_err(|error| Error::Signed(chain(&error).to_string()))?;
    let needed: tunnel_protos::v1::TrustBundle =
        tunnel_certs::statement::envelope::payload(&needed.envelope(), PayloadType::TrustBundle)
            .map_err(|error| Error::Signed(chain(&error).to_string()))?;
    if message.sequence != needed.sequence {
        let text = format!("it has sequence {}, {} is needed", message.sequence, needed.sequence);
        return Err(Error::Signed(text));
    }
    if message.mesh_roots != needed.mesh_roots || message.operator_roots != needed.operator_roots {
        return Err(unlike("it names other roots; write it anew with --write-unsigned"));
    }
    let same = tunnel_protos::v1::TrustBundle { expires_ms: needed.expires_ms, ..message } == needed;
    if same { Ok(()) } else { Err(unlike("it differs from the one in force in more than this step changes")) }
}

const UNPINNED: &str = "the bundle is signed by a vendor key that this context does not pin: log in again with it \
                        (tunnelctl login … --vendor-key NEW.pub), so that you can verify what you publish";
