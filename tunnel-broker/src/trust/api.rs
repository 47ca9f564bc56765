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

use super::{TrustError, failed, fingerprint::Fingerprint};
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
    seen: Fingerprint,
    certificate: Certificate,
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
        let seen = fingerprint(&files);
        let certificate = read(&files)?;
        if let Err(error) = certificate.check(&files, now) {
            warn!(error = %tunnel_runtime::chain(&error), "The API's certificate cannot be used now");
        }
        let first = tls_of(&certificate, bundle)?;
        certificate.note();
        let state = Mutex::new(State { seen, certificate, roots: bundle.operator_roots.clone() });
        Ok(Self { files, state, published: watch::Sender::new(Arc::new(first)) })
    }

    pub(super) fn follow(&self) -> watch::Receiver<Arc<ApiTls>> {
        self.published.subscribe()
    }

    /// Publishes what is new: a certificate of the files, or operator roots. Blocks on files.
    pub(super) fn look(&self, bundle: &TrustBundle, again: bool, now: UnixMillis) {
        let mut state = self.state.lock();
        let found = fingerprint(&self.files);
        let changed = std::mem::replace(&mut state.seen, found.clone()) != found;
        let other_roots = state.roots != bundle.operator_roots;
        if !changed && !again {
            return;
        }
        let candidate = read(&self.files).and_then(|new| new.check(&self.files, now).map(|()| new));
        let certificate = match candidate {
            Ok(new) => Some(new),
            Err(error) => {
                if changed {
                    failed("api_certificate", &error);
                }
                // Roots that were removed are removed all the same.
                other_roots.then(|| state.certificate.clone())
            }
        };
        if let Some(certificate) = certificate.filter(|_| changed || other_roots) {
            self.publish(&mut state, certificate, bundle);
        }
    }

    fn publish(&self, state: &mut State, certificate: Certificate, bundle: &TrustBundle) {
        match tls_of(&certificate, bundle) {
            Ok(tls) => {
                certificate.note();
                (state.certificate, state.roots) = (certificate, bundle.operator_roots.clone());
                self.published.send_replace(Arc::new(tls));
                metrics::reload("api_tls", true);
                info!("TLS of the operators' API was replaced");
            }
            Err(error) => failed("api_tls", &error),
        }
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
    let path = &files.certificate;
    let wrong = |error| TrustError::Credential(path.clone(), error);
    let credential = ServerCredential::load(path, &files.key).map_err(wrong)?;
    let chain = certificates_from_pem(&file::read(path).map_err(TrustError::File)?).map_err(wrong)?;
    let leaf = chain.first().ok_or_else(|| wrong(CredentialError::Count(0)))?;
    let Summary { not_before, not_after, .. } =
        Summary::read(leaf).map_err(|error| wrong(CredentialError::Certificate(error)))?;
    Ok(Certificate { credential, valid: (not_before, not_after) })
}

fn tls_of(certificate: &Certificate, bundle: &TrustBundle) -> Result<ApiTls, TrustError> {
    let verifier = OperatorVerifier::new(bundle.vendor.clone(), bundle.operator_roots.clone());
    let config = tls::operator_api_server(&certificate.credential, verifier.clone(), &[b"h2"]);
    Ok(ApiTls { config: config.map_err(TrustError::Tls)?, verifier })
}
