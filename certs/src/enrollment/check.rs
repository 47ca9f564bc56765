//! The administrator's check of a registration: made with this bundle, for its cluster, and not altered since.

use prost::Message;
use tunnel_protos::v1;

use super::{MacError, Opened};
use crate::statement::registration::{self, Registration};

/// Why a registration is not that of a bundle.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It does not hold by itself.
    #[error(transparent)]
    Open(#[from] registration::OpenError),
    /// Altered on its way, or made without the bundle's secret.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// Made with another bundle, or for another label.
    #[error("the registration names another {0} than the enrollment bundle")]
    Other(&'static str),
}

impl Opened {
    /// Opens a registration that was redeemed with this bundle; its words are still to be compared.
    pub fn check(&self, registration: &[u8], mac: &[u8]) -> Result<registration::Opened, CheckError> {
        let opened = registration::open(registration)?;
        // Opening has decoded the same bytes; the MAC is over what they sign.
        let envelope = v1::Envelope::decode(registration).map_err(|_| MacError)?;
        self.bundle.secret.ends_secret().check(&envelope, mac)?;
        self.check_names(&opened.registration)?;
        Ok(opened)
    }

    fn check_names(&self, registration: &Registration) -> Result<(), CheckError> {
        let named = [
            ("bundle", registration.bundle_sha256 == Some(self.sha256)),
            ("token", registration.token == Some(self.bundle.token)),
            ("label", registration.label == self.bundle.label),
        ];
        let other = named.into_iter().find(|(_, same)| !same);
        other.map_or(Ok(()), |(name, _)| Err(CheckError::Other(name)))
    }
}
