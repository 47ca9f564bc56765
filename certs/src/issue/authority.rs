//! A CA certificate with the key that signs under it.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyUsagePurpose, SerialNumber};
use rustls_pki_types::CertificateDer;
use tunnel_protos::UnixMillis;

use super::signer::RcgenSigner;
use crate::{
    crypto,
    file::{self, FileError},
    key::{Algorithm, KeyError, Signer, SigningKey},
    pem,
    verify::Leaf,
};

/// The three CAs of the key table; each signs its own roles only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaKind {
    /// Brokers and replicas; 5 years.
    Mesh,
    /// Operators; 2 years.
    Operator,
    /// Grants and gate servers of one cluster; 1 year.
    Access,
}

/// Why an authority could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key could not be had.
    #[error("the CA's private key")]
    Key(#[source] KeyError),
    /// Only P-256 keys sign certificates.
    #[error("a CA's key is P-256")]
    Algorithm,
    /// Not a CA certificate of ours.
    #[error("not a CA certificate made by Postern")]
    Certificate,
    /// The certificate is for another key.
    #[error("the CA certificate is not for this private key")]
    Mismatch,
    /// The certificate could not be made.
    #[error("cannot make the CA certificate")]
    Build(#[source] rcgen::Error),
}

/// A CA.
pub struct Authority {
    kind: CaKind,
    certificate: CertificateDer<'static>,
    pub(super) not_before: UnixMillis,
    pub(super) not_after: UnixMillis,
    pub(super) issuer: Issuer<'static, RcgenSigner<Arc<dyn Signer>>>,
}

impl Authority {
    /// Makes a self-signed CA certificate over `signer`'s P-256 key; `name` tells people whose it is (vendor or label).
    pub fn create(
        kind: CaKind,
        name: &str,
        signer: Arc<dyn Signer>,
        now: UnixMillis,
    ) -> Result<Self, AuthorityError> {
        if signer.public().algorithm() != Algorithm::P256 {
            return Err(AuthorityError::Algorithm);
        }
        let parameters = parameters(kind, name, now).map_err(AuthorityError::Build)?;
        let certificate =
            parameters.self_signed(&RcgenSigner(Arc::clone(&signer))).map_err(AuthorityError::Build)?;
        Self::from_parts(certificate.der().clone(), signer)
    }

    /// Pairs a CA certificate with its key.
    pub fn from_parts(
        certificate: CertificateDer<'static>,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, AuthorityError> {
        let read = Leaf::read(&certificate).map_err(|_| AuthorityError::Certificate)?;
        let kind = CaKind::of(&read).ok_or(AuthorityError::Certificate)?;
        if read.key.as_ref() != Some(signer.public()) {
            return Err(AuthorityError::Mismatch);
        }
        let issuer =
            Issuer::from_ca_cert_der(&certificate, RcgenSigner(signer)).map_err(AuthorityError::Build)?;
        Ok(Self { kind, not_before: read.not_before, not_after: read.not_after, issuer, certificate })
    }

    /// Reads a PEM certificate and a 0600 key file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, AuthorityError> {
        let der = pem::certificate(&file::read(certificate)?).map_err(|_| AuthorityError::Certificate)?;
        Self::from_parts(der, Arc::new(SigningKey::load(key).map_err(AuthorityError::Key)?))
    }

    /// What it may sign.
    pub fn kind(&self) -> CaKind {
        self.kind
    }

    /// The CA certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// First and last moment of the CA certificate.
    pub fn validity(&self) -> (UnixMillis, UnixMillis) {
        (self.not_before, self.not_after)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({:?}, {:?}..{:?})", self.kind, self.not_before, self.not_after)
    }
}

impl CaKind {
    /// How long a CA of this kind lives.
    pub const fn life(self) -> Duration {
        let years = match self {
            Self::Mesh => 5,
            Self::Operator => 2,
            Self::Access => 1,
        };
        Duration::from_secs(years * 365 * 24 * 3600)
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Mesh => "Postern mesh CA",
            Self::Operator => "Postern operator CA",
            Self::Access => "Postern access CA",
        }
    }

    fn of(certificate: &Leaf) -> Option<Self> {
        let titled = |kind: &Self| certificate.subject.starts_with(&format!("CN={} ", kind.title()));
        let kind = [Self::Mesh, Self::Operator, Self::Access].into_iter().find(titled);
        kind.filter(|_| certificate.is_ca)
    }
}

fn parameters(kind: CaKind, name: &str, now: UnixMillis) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = super::leaf::parameters(now.minus(BACKDATED), now.plus(kind.life()))?;
    // Random, so that a renewed CA of the same name is told apart from the one before it.
    let number = data_encoding::HEXLOWER.encode(&crypto::random::<4>());
    parameters.distinguished_name.push(DnType::CommonName, format!("{} {name} {number}", kind.title()));
    parameters.serial_number = Some(SerialNumber::from_slice(&crypto::random::<16>()));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(parameters)
}

/// Leaves begin a minute before they are issued, and must not begin before their CA.
const BACKDATED: Duration = Duration::from_secs(3600);
