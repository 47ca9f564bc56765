//! CA certificates of the API's server certificate: a file, or the system's public ones.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use tunnel_certs::{credential::certificates_from_pem, file};

use super::SetupError;

/// Anchors from `file`, or from the system when there is none.
pub(super) fn load(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    match file {
        Some(path) => {
            let pem = file::read(path).map_err(SetupError::File)?;
            certificates_from_pem(&pem)
                .map_err(|source| SetupError::Certificates { path: path.into(), source })
        }
        // Single odd certificates among the system's do not matter; none at all is refused by TLS.
        None => Ok(rustls_native_certs::load_native_certs().certs),
    }
}
