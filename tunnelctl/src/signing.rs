//! The vendor key's signature: by a key file of this machine, or made on another one and brought back.
//!
//! A key is read where a signature is needed, never earlier, and nothing else is signed with it.

use std::{
    io,
    path::{Path, PathBuf},
};

use prost::Message;
use tunnel_certs::{
    cli::passphrase,
    file::{self, FileError},
    key::{Algorithm, KeyError, SignError, Signer, SigningKey},
    statement::{
        envelope::{self, EnvelopeError, PayloadType},
        inventory::Entry,
        trust_bundle::TrustBundle,
    },
    words::Words,
};
use tunnel_protos::v1;
use zeroize::Zeroizing;

use crate::{cli::VendorKey, surroundings::Prompt};

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The key's file.
    #[error("cannot use the vendor key {}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// A key of another algorithm.
    #[error("{} is no vendor key: those are Ed25519 (`tunnel-certs key vendor`)", .0.display())]
    Algorithm(PathBuf),
    /// The key refused.
    #[error("the vendor key did not sign")]
    Sign(#[source] SignError),
    /// A file of what is to be signed, or was.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not such a file.
    #[error("{} is not what was expected", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EnvelopeError,
    },
    /// No key was named.
    #[error("a signature of the vendor key is needed: give --vendor-key, or sign on another machine")]
    NoKey,
}

/// A vendor key that is read when it is needed.
pub(crate) struct Keyring<'a> {
    args: &'a VendorKey,
    prompt: &'a Prompt,
}

impl<'a> Keyring<'a> {
    pub(crate) fn new(args: &'a VendorKey, prompt: &'a Prompt) -> Self {
        Self { args, prompt }
    }

    /// The key, unlocked.
    pub(crate) fn open(&self) -> Result<SigningKey, Error> {
        let path = self.args.vendor_key.as_deref().ok_or(Error::NoKey)?;
        let key = SigningKey::load_with(path, || self.passphrase(path));
        let key = key.map_err(|source| Error::Key { path: path.into(), source })?;
        if key.public().algorithm() == Algorithm::Ed25519 {
            Ok(key)
        } else {
            Err(Error::Algorithm(path.into()))
        }
    }

    fn passphrase(&self, key: &Path) -> io::Result<Zeroizing<String>> {
        let Some(path) = &self.args.passphrase_file else {
            return (self.prompt)(&format!("passphrase of {}: ", key.display()));
        };
        passphrase::from_file(path).map_err(io::Error::other)
    }
}

/// A statement that lacks its signature.
#[derive(Debug, Clone)]
pub(crate) struct Unsigned {
    kind: PayloadType,
    payload: Vec<u8>,
}

impl Unsigned {
    /// An inventory entry.
    pub(crate) fn entry(entry: &Entry) -> Result<Self, Error> {
        Ok(Self::of(PayloadType::Inventory, entry.make(&Nobody::new()?).map_err(Error::Sign)?))
    }

    /// A trust bundle.
    pub(crate) fn trust_bundle(bundle: &TrustBundle) -> Result<Self, Error> {
        Ok(Self::of(PayloadType::TrustBundle, bundle.make(&Nobody::new()?).map_err(Error::Sign)?))
    }

    fn of(kind: PayloadType, envelope: v1::Envelope) -> Self {
        Self { kind, payload: envelope.payload }
    }

    /// Reads what another machine wrote by [`Unsigned::write`].
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let content = |source| Error::Content { path: path.into(), source };
        let bytes = file::read(path)?;
        let envelope: v1::Envelope = tunnel_protos::strict::decode("postern.v1.Envelope", &bytes)
            .map_err(|error| content(EnvelopeError::Malformed(error)))?;
        let kind = [PayloadType::Inventory, PayloadType::TrustBundle]
            .into_iter()
            .find(|kind| kind.as_str() == envelope.payload_type);
        let kind = kind.ok_or_else(|| {
            let got = tunnel_protos::text::escape(&envelope.payload_type, 80);
            content(EnvelopeError::Type { wanted: "an inventory entry or a trust bundle", got })
        })?;
        Ok(Self::of(kind, envelope))
    }

    /// What it is, for people.
    pub(crate) fn kind(&self) -> PayloadType {
        self.kind
    }

    /// Words of the digest, which no signature changes.
    pub(crate) fn words(&self) -> Words {
        Words::of(&envelope::digest(&self.envelope()))
    }

    /// An envelope without a signature: nobody takes it for more than it is.
    pub(crate) fn envelope(&self) -> v1::Envelope {
        let payload = self.payload.clone();
        v1::Envelope { payload_type: self.kind.as_str().into(), payload, signatures: Vec::new() }
    }

    /// Signed by `key`.
    pub(crate) fn sign(self, key: &dyn Signer) -> Result<v1::Envelope, Error> {
        envelope::sign(self.kind, self.payload, &[(key, None)]).map_err(Error::Sign)
    }

    /// Writes it for the machine that has the key.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        Ok(file::write(path, &self.envelope().encode_to_vec())?)
    }
}

/// Reads an envelope of `kind` that was signed elsewhere; the caller verifies it.
pub(crate) fn signed(path: &Path, kind: PayloadType) -> Result<v1::Envelope, Error> {
    let bytes = file::read(path)?;
    envelope::decode(&bytes, kind).map_err(|source| Error::Content { path: path.into(), source })
}

/// Signs with nothing, to have a payload in its one form.
#[derive(Debug)]
struct Nobody(tunnel_certs::key::PublicKey);

impl Nobody {
    fn new() -> Result<Self, Error> {
        let key = SigningKey::generate(Algorithm::Ed25519);
        let key = key.map_err(|_| Error::Sign(SignError("no key can be made".into())))?;
        Ok(Self(key.public().clone()))
    }
}

impl Signer for Nobody {
    fn public(&self) -> &tunnel_certs::key::PublicKey {
        &self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(Vec::new())
    }
}
