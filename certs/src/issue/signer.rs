//! Lets rcgen sign with whatever can sign for us.

use std::sync::Arc;

use crate::key::{Algorithm, PublicKey, Signer};

/// A signer as rcgen sees it.
pub(crate) struct RcgenSigner<S>(pub(crate) S);

/// A public key as rcgen sees it.
pub(crate) struct RcgenPublic<'k>(pub(crate) &'k PublicKey);

impl rcgen::PublicKeyData for RcgenPublic<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.raw()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.0.algorithm() {
            Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
            Algorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

macro_rules! rcgen_signer {
    ($($signer:ty),*) => {$(
        impl rcgen::PublicKeyData for RcgenSigner<$signer> {
            fn der_bytes(&self) -> &[u8] {
                self.0.public().raw()
            }

            fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
                RcgenPublic(self.0.public()).algorithm()
            }
        }

        impl rcgen::SigningKey for RcgenSigner<$signer> {
            fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
                self.0.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
            }
        }
    )*};
}

rcgen_signer!(&dyn Signer, Arc<dyn Signer>);
