//! TLS of the operators' API: a certificate from files that are followed, and the operator roots of the trust bundle.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};
use tunnel_certs::{
    credential::{CredentialError, ServerCredential, certificates_from_pem},
    file,
    roots::Roots,
    statement::trust_bundle::TrustBundle,
    tls,
    verify::{OperatorVerifier, Summary},
};
use tunnel_protos::UnixMillis;

use super::{
    TrustError, failed,
    fingerprint::{Fingerprint, Followed, Look},
};
use crate::{config::CredentialFiles, metrics};

/// TLS of the API.
#[derive(Debug, Clone)]
pub(crate) struct ApiTls {
    /// What rustls needs.
    pub(crate) config: Arc<rustls::ServerConfig>,
    /// Names the caller after the handshake, and says later on whether its root still counts.
    pub(crate) verifier: OperatorVerifier,
}

/// The API's certificate while it is replaced.
#[derive(Debug)]
pub(super) struct ApiCertificate {
    files: CredentialFiles,
    state: Mutex<State>,
    published: watch::Sender<Arc<ApiTls>>,
}

/// What is published is made of these.
#[derive(Debug)]
struct State {
    followed: Followed,
    certificate: Certificate,
    /// Those of the bundle that was looked at last.
    roots: Roots,
}

#[derive(Debug, Clone)]
struct Certificate {
    credential: ServerCredential,
    valid: (UnixMillis, UnixMillis),
}

impl ApiCertificate {
    /// An expired certificate is no reason not to start: tunnels and sessions do not need it.
    pub(super) fn load(
        files: CredentialFiles,
        bundle: &TrustBundle,
        now: UnixMillis,
    ) -> Result<Self, TrustError> {
        let followed = Followed::new("api_certificate", fingerprint(&files));
        let certificate = read(&files)?;
        if let Err(error) = certificate.check(&files, now) {
            warn!(error = %tunnel_runtime::chain(&error), "The API's certificate cannot be used now");
        }
        let first = tls_of(&certificate, bundle)?;
        certificate.note();
        let state = Mutex::new(State { followed, certificate, roots: bundle.operator_roots.clone() });
        Ok(Self { files, state, published: watch::Sender::new(Arc::new(first)) })
    }

    pub(super) fn follow(&self) -> watch::Receiver<Arc<ApiTls>> {
        self.published.subscribe()
    }

    /// Publishes what is new: a certificate of the files, or operator roots. Blocks on files.
    pub(super) fn look(&self, bundle: &TrustBundle, now: UnixMillis) -> Look {
        let mut state = self.state.lock();
        let found = fingerprint(&self.files);
        let has_other_roots = state.roots != bundle.operator_roots;
        state.roots = bundle.operator_roots.clone();
        let look = if state.followed.is_in_use(&found) {
            Look::Same
        } else {
            let new = read(&self.files).and_then(|new| new.check(&self.files, now).map(|()| new));
            let taken = new.and_then(|new| self.publish(&mut state, new, bundle));
            state.followed.note(found, taken)
        };
        if has_other_roots && look != Look::Taken {
            // Roots that were removed are removed whatever the files are.
            let certificate = state.certificate.clone();
            let published = self.publish(&mut state, certificate, bundle);
            published.unwrap_or_else(|error| failed("api_tls", &error));
        }
        look
    }

    fn publish(
        &self,
        state: &mut State,
        certificate: Certificate,
        bundle: &TrustBundle,
    ) -> Result<(), TrustError> {
        let tls = tls_of(&certificate, bundle)?;
        certificate.note();
        state.certificate = certificate;
        self.published.send_replace(Arc::new(tls));
        metrics::reload("api_tls", true);
        info!("TLS of the operators' API was replaced");
        Ok(())
    }
}

impl Certificate {
    fn check(&self, files: &CredentialFiles, now: UnixMillis) -> Result<(), TrustError> {
        let (from, to) = self.valid;
        if (from..=to).contains(&now) {
            return Ok(());
        }
        Err(TrustError::Validity(files.certificate.clone(), from, to))
    }

    fn note(&self) {
        metrics::expiration("api_certificate", self.valid.1);
    }
}

fn fingerprint(files: &CredentialFiles) -> Fingerprint {
    Fingerprint::of(&[&files.certificate, &files.key])
}

fn read(files: &CredentialFiles) -> Result<Certificate, TrustError> {
    let Summary { not_before, not_after, .. } = summary(files)?;
    let wrong = |error| TrustError::Credential(files.certificate.clone(), error);
    let credential = ServerCredential::load(&files.certificate, &files.key).map_err(wrong)?;
    Ok(Certificate { credential, valid: (not_before, not_after) })
}

/// What the certificate in these files says of itself.
pub(crate) fn summary(files: &CredentialFiles) -> Result<Summary, TrustError> {
    let path = &files.certificate;
    let wrong = |error| TrustError::Credential(path.clone(), error);
    let chain = certificates_from_pem(&file::read(path).map_err(TrustError::File)?).map_err(wrong)?;
    let leaf = chain.first().ok_or_else(|| wrong(CredentialError::Count(0)))?;
    Summary::read(leaf).map_err(|error| wrong(CredentialError::Certificate(error)))
}

fn tls_of(certificate: &Certificate, bundle: &TrustBundle) -> Result<ApiTls, TrustError> {
    let verifier = OperatorVerifier::new(bundle.vendor.clone(), bundle.operator_roots.clone());
    let config = tls::operator_api_server(&certificate.credential, verifier.clone(), &[b"h2"]);
    Ok(ApiTls { config: config.map_err(TrustError::Tls)?, verifier })
}
