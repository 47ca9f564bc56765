//! What servers demand of their clients' certificates.

use rustls::{
    DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{alert, at, chain, signatures};
use crate::{
    identity::Role,
    verify::{MeshVerifier, OperatorVerifier},
};

/// At a broker: mesh certificates of one role.
#[derive(Debug)]
pub(super) struct MeshClientVerifier {
    pub(super) verifier: MeshVerifier,
    pub(super) role: Role,
}

impl ClientCertVerifier for MeshClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.verifier.verify(&chain(leaf, rest), self.role, at(now));
        verified.map(|_| ClientCertVerified::assertion()).map_err(alert)
    }

    signatures!();
}

/// At the operators' API: operators' identities; mesh and grant certificates are refused.
#[derive(Debug)]
pub(super) struct OperatorClientVerifier {
    pub(super) verifier: OperatorVerifier,
}

impl ClientCertVerifier for OperatorClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.verifier.verify(&chain(leaf, rest), at(now));
        verified.map(|_| ClientCertVerified::assertion()).map_err(alert)
    }

    signatures!();
}
