//! Certificate requests: of all that a PKCS#10 says, only its P-256 public key is believed.

use x509_parser::{certification_request::X509CertificationRequest, oid_registry, prelude::FromDer};

use crate::issue::RcgenSigner;
use crate::key::{Algorithm, PublicKey, SignError, Signer};
use crate::pem;
use rustls_pki_types::CertificateSigningRequestDer;

/// Why a certificate request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Larger than any honest one.
    #[error("the certificate request is larger than 4096 bytes")]
    TooLarge,
    /// Not PKCS#10, or with bytes after it.
    #[error("malformed certificate request")]
    Malformed,
    /// Whoever made it does not hold the key.
    #[error("the certificate request is not signed by its own key")]
    Signature,
    /// Not a P-256 key.
    #[error("the certificate request has a key other than P-256")]
    Key,
}

/// The public key of a PKCS#10 (DER) whose self-signature was checked; nothing else of it is used.
pub fn public_key(der: &[u8]) -> Result<PublicKey, CsrError> {
    if der.len() > MAX_BYTES {
        return Err(CsrError::TooLarge);
    }
    let csr = parse(der)?;
    let info = &csr.certification_request_info;
    let key = PublicKey::from_spki(info.subject_pki.raw).map_err(|_| CsrError::Key)?;
    if key.algorithm() != Algorithm::P256 {
        return Err(CsrError::Key);
    }
    if csr.signature_algorithm.algorithm != oid_registry::OID_SIG_ECDSA_WITH_SHA256 {
        return Err(CsrError::Signature);
    }
    key.verify(info.raw, &csr.signature_value.data).map_err(|_| CsrError::Signature)?;
    Ok(key)
}

/// The DER of a PKCS#10 that may be PEM.
pub fn from_pem_or_der(bytes: &[u8]) -> Vec<u8> {
    let pem: Result<CertificateSigningRequestDer<'_>, _> = pem::decode(bytes, "CERTIFICATE REQUEST");
    pem.map_or_else(|_| bytes.to_vec(), |der| der.to_vec())
}

/// A PKCS#10 (DER) that says nothing but `signer`'s P-256 key.
pub fn make(signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&RcgenSigner(signer));
    request.map(|request| request.der().to_vec()).map_err(|error| SignError(error.to_string()))
}

fn parse(der: &[u8]) -> Result<X509CertificationRequest<'_>, CsrError> {
    match X509CertificationRequest::from_der(der) {
        Ok(([], csr)) => Ok(csr),
        _ => Err(CsrError::Malformed),
    }
}

/// An honest request with one P-256 key has about 250 bytes.
const MAX_BYTES: usize = 4096;
