//! A certificate's fields, read once and strictly; reading proves nothing.

use std::{fmt, time::Duration};

use tunnel_protos::UnixMillis;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{ExtendedKeyUsage, GeneralName, KeyUsage},
    prelude::FromDer,
};

use super::VerifyError;
use crate::{
    identity::{Identity, Role},
    key::{Algorithm, PublicKey},
};

/// The serial number of a certificate, at most 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial([u8; 16]);

impl Serial {
    /// Takes the number, most significant byte first.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Most significant byte first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From the content of a DER integer; none if negative or longer than 128 bits.
    fn from_der_integer(content: &[u8]) -> Option<Self> {
        let digits = match content {
            [0, rest @ ..] => rest,
            [first, ..] if first & 0x80 != 0 => return None,
            all => all,
        };
        let mut bytes = [0; 16];
        let start = bytes.len().checked_sub(digits.len())?;
        bytes[start..].copy_from_slice(digits);
        Some(Self(bytes))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// What a certificate says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// None if longer than any of ours.
    pub(crate) serial: Option<Serial>,
    pub(crate) not_before: UnixMillis,
    pub(crate) not_after: UnixMillis,
    pub(crate) is_ca: bool,
    pub(crate) usages: Usages,
    pub(crate) names: Vec<SubjectName>,
    pub(crate) subject: String,
    /// None if of an algorithm that we do not use.
    pub(crate) key: Option<PublicKey>,
}

/// A subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SubjectName {
    Uri(String),
    Dns(String),
    Other,
}

/// What the key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usages {
    pub(crate) server_auth: bool,
    pub(crate) client_auth: bool,
    /// Extended usages beside those two.
    pub(crate) others: bool,
    /// Key usage is digitalSignature and nothing else.
    pub(crate) only_signs: bool,
}

impl Leaf {
    /// Reads a DER certificate with nothing after it.
    pub(crate) fn read(der: &[u8]) -> Result<Self, VerifyError> {
        let malformed = |_| VerifyError::Malformed;
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| VerifyError::Malformed)?;
        if !rest.is_empty() {
            return Err(VerifyError::Malformed);
        }
        Ok(Self {
            serial: Serial::from_der_integer(certificate.raw_serial()),
            not_before: UnixMillis(certificate.validity().not_before.timestamp().saturating_mul(1000)),
            not_after: UnixMillis(certificate.validity().not_after.timestamp().saturating_mul(1000)),
            is_ca: certificate.basic_constraints().map_err(malformed)?.is_some_and(|found| found.value.ca),
            usages: usages(&certificate)?,
            names: names(&certificate)?,
            subject: certificate.subject().to_string(),
            key: PublicKey::from_spki(certificate.public_key().raw).ok(),
        })
    }

    /// The identity, if the certificate has exactly one name and that is a URI of ours.
    pub(crate) fn identity(&self) -> Result<Identity, VerifyError> {
        match &self.names[..] {
            [SubjectName::Uri(uri)] => uri.parse().map_err(|_| VerifyError::WrongRole),
            _ => Err(VerifyError::Names),
        }
    }

    /// The P-256 key.
    pub(crate) fn p256(&self) -> Result<&PublicKey, VerifyError> {
        self.key.as_ref().filter(|key| key.algorithm() == Algorithm::P256).ok_or(VerifyError::Key)
    }

    /// Checks all that a role fixes but names: no CA, exact usages, P-256, bounded life.
    pub(crate) fn check_shape(&self, usages: Usages, life: Duration) -> Result<(), VerifyError> {
        if self.is_ca {
            return Err(VerifyError::IsCa);
        }
        if self.usages != usages {
            return Err(VerifyError::Usage);
        }
        if self.not_after.since(self.not_before) > life {
            return Err(VerifyError::TooLong);
        }
        self.p256().map(|_| ())
    }
}

impl Usages {
    pub(crate) const CLIENT: Self =
        Self { server_auth: false, client_auth: true, others: false, only_signs: true };
    pub(crate) const SERVER: Self = Self { server_auth: true, client_auth: false, ..Self::CLIENT };
    pub(crate) const BOTH: Self = Self { server_auth: true, ..Self::CLIENT };

    /// Exactly what certificates of `role` say.
    pub(crate) const fn of(role: Role) -> Self {
        match role {
            // Brokers are dialed by replicas, and dial their peers.
            Role::Broker => Self::BOTH,
            Role::Replica | Role::Operator | Role::Grant => Self::CLIENT,
        }
    }
}

fn usages(certificate: &X509Certificate<'_>) -> Result<Usages, VerifyError> {
    let extended = certificate.extended_key_usage().map_err(|_| VerifyError::Malformed)?;
    let extended = extended.map(|found| found.value);
    let plain = certificate.key_usage().map_err(|_| VerifyError::Malformed)?;
    Ok(Usages {
        server_auth: extended.is_some_and(|usage| usage.server_auth),
        client_auth: extended.is_some_and(|usage| usage.client_auth),
        others: extended.is_some_and(has_others),
        only_signs: plain.is_some_and(|found| *found.value == KeyUsage { flags: DIGITAL_SIGNATURE }),
    })
}

fn has_others(usage: &ExtendedKeyUsage<'_>) -> bool {
    let named =
        [usage.any, usage.code_signing, usage.email_protection, usage.time_stamping, usage.ocsp_signing];
    named.contains(&true) || !usage.other.is_empty()
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<SubjectName>, VerifyError> {
    let extension = certificate.subject_alternative_name().map_err(|_| VerifyError::Malformed)?;
    let read = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => SubjectName::Uri((*uri).to_owned()),
        GeneralName::DNSName(name) => SubjectName::Dns((*name).to_owned()),
        _ => SubjectName::Other,
    };
    Ok(extension.map(|found| found.value.general_names.iter().map(read).collect()).unwrap_or_default())
}

/// x509-parser keeps the first bit of the BIT STRING lowest.
const DIGITAL_SIGNATURE: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_serial_is_none_of_ours() {
        assert_eq!(Serial::from_der_integer(&[0x80, 1]), None);
        let mut positive = [0; 16];
        positive[14..].copy_from_slice(&[0x80, 1]);
        assert_eq!(Serial::from_der_integer(&[0, 0x80, 1]), Some(Serial(positive)));
    }
}
