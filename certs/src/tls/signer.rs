//! Lets rustls sign with whatever can sign for us: no copy of a private key leaves its owner.

use std::sync::Arc;

use rustls::{SignatureAlgorithm, SignatureScheme, sign};
use rustls_pki_types::SubjectPublicKeyInfoDer;

use crate::key::{Algorithm, Signer};

/// A signer as rustls sees it.
#[derive(Debug, Clone)]
pub(crate) struct TlsSigner(pub(crate) Arc<dyn Signer>);

impl TlsSigner {
    fn only_scheme(&self) -> SignatureScheme {
        match self.0.public().algorithm() {
            Algorithm::Ed25519 => SignatureScheme::ED25519,
            Algorithm::P256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }
}

impl sign::SigningKey for TlsSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn sign::Signer>> {
        offered.contains(&self.only_scheme()).then(|| Box::new(self.clone()) as _)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.0.public().spki()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.public().algorithm() {
            Algorithm::Ed25519 => SignatureAlgorithm::ED25519,
            Algorithm::P256 => SignatureAlgorithm::ECDSA,
        }
    }
}

impl sign::Signer for TlsSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.0.sign(message).map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.only_scheme()
    }
}
