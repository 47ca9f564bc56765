//! The gate's TLS: certificates that we did issue complete the handshake, expired ones too; all others get an alert.
//!
//! Whether a certificate still opens anything is asked after the handshake, of the same verifier.

use std::{fmt, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use tunnel_protos::UnixMillis;

use super::{TlsError, alert, chain, server_config, signatures};
use crate::{
    credential::{Credential, ServerCredential},
    verify::{GrantCertificate, GrantVerifier, VerifyError},
};

/// What a gate presents and trusts; cheap to clone, replaced as a whole when either changes.
#[derive(Debug, Clone)]
pub struct GateTls {
    credential: ServerCredential,
    verifier: Arc<GrantVerifier>,
}

impl GateTls {
    /// Takes the gate's server certificate and what verifies its clients.
    pub fn new(credential: &Credential, verifier: GrantVerifier) -> Self {
        Self { credential: credential.to_server(), verifier: Arc::new(verifier) }
    }

    /// Verifies the peer's certificate again, after the handshake.
    pub fn verifier(&self) -> &GrantVerifier {
        &self.verifier
    }

    /// The configuration of one session, verified at `now`: shares key, anchors and provider, so that each may ask
    /// its own `serials`.
    pub fn server_config(
        &self,
        now: UnixMillis,
        serials: Arc<dyn KnownSerials>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let verifier = GateClientVerifier { verifier: Arc::clone(&self.verifier), now, serials };
        server_config(&self.credential, Arc::new(verifier), &[b"h2"])
    }
}

/// Tells the handshake whether a certificate was ever handed out (tombstones of the last 24 h included).
pub trait KnownSerials: Send + Sync {
    /// Whether this certificate's serial belongs to its grant; false ends the handshake with an alert.
    fn knows(&self, certificate: &GrantCertificate) -> bool;
}

impl<F: Fn(&GrantCertificate) -> bool + Send + Sync> KnownSerials for F {
    fn knows(&self, certificate: &GrantCertificate) -> bool {
        self(certificate)
    }
}

struct GateClientVerifier {
    verifier: Arc<GrantVerifier>,
    /// The caller's time, which never goes back; the system's may be wrong.
    now: UnixMillis,
    serials: Arc<dyn KnownSerials>,
}

impl ClientCertVerifier for GateClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _system: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let certificate = self.verifier.verify(&chain(leaf, rest), self.now).map_err(alert)?;
        if self.serials.knows(&certificate) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(alert(VerifyError::UnknownSerial))
        }
    }

    signatures!();
}

impl fmt::Debug for GateClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GateClientVerifier({:?})", self.verifier)
    }
}
