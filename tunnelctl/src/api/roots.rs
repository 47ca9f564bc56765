//! CA certificates of the API's server certificate: a file, or the system's public ones.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use tunnel_certs::{credential::certificates_from_pem, file};

use super::SetupError;

/// Anchors from `file`, or from the system when there is none.
pub(super) fn load(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let Some(path) = file else { return system() };
    let pem = file::read(path).map_err(SetupError::File)?;
    certificates_from_pem(&pem).map_err(|source| SetupError::Certificates { path: path.into(), source })
}

/// Single unreadable ones among the system's do not matter.
fn system() -> Result<Vec<CertificateDer<'static>>, SetupError> {
    match rustls_native_certs::load_native_certs().certs {
        none if none.is_empty() => Err(SetupError::NoSystemRoots),
        some => Ok(some),
    }
}
