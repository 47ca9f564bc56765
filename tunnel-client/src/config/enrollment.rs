//! The section `enrollment`: how this replica gets its first mesh certificate.

use std::path::PathBuf;

use tunnel_runtime::config::{FromSection, Section};

/// How this replica gets its first mesh certificate, and another after it ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentConfig {
    /// What `tunnelctl enroll create` made: its bytes, or their base64url.
    pub bundle: Option<PathBuf>,
    /// A Kubernetes service-account token with audience `postern/<vendor>/<label>`: it lets a further replica join, and
    /// its issuer and subject go into the first one's registration.
    pub service_account_token: Option<PathBuf>,
    /// The JSON Web Key Set of the tokens' issuer, which goes into the registration; without it, no replica joins by
    /// service account.
    pub jwks: Option<PathBuf>,
}

impl FromSection for EnrollmentConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (bundle, token) = (section.optional_path("bundle"), section.optional_path("serviceAccountToken"));
        let jwks = section.optional_path("jwksFile");
        let (bundle, service_account_token) = (bundle?, token?);
        if bundle.is_none() && service_account_token.is_none() {
            return section.reject("bundle", "name the enrollment bundle, or a `serviceAccountToken`");
        }
        Some(Self { bundle, service_account_token, jwks: jwks? })
    }
}
