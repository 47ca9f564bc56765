//! What clients demand of their servers' certificates, where it is not an ordinary server certificate.

use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{alert, at, chain, signatures};
use crate::{
    identity::Role,
    verify::{GateServerVerifier, MeshVerifier},
};

/// At a replica: brokers by URI; the address dialed says nothing about who answers.
#[derive(Debug)]
pub(super) struct BrokerVerifier {
    pub(super) verifier: MeshVerifier,
}

impl ServerCertVerifier for BrokerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.verifier.verify(&chain(leaf, rest), Role::Broker, at(now));
        verified.map(|_| ServerCertVerified::assertion()).map_err(alert)
    }

    signatures!();
}

/// At an operator: the gate of the cluster whose outcome brought the anchors.
#[derive(Debug)]
pub(super) struct GateVerifier {
    pub(super) verifier: GateServerVerifier,
}

impl ServerCertVerifier for GateVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.verifier.verify(&chain(leaf, rest), server_name, at(now));
        verified.map(|()| ServerCertVerified::assertion()).map_err(alert)
    }

    signatures!();
}
