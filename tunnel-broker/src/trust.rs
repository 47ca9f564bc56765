//! What the broker shows and whom it believes, live: the trust bundle in force, its own mesh certificate, and the
//! certificate of the operators' API. Each is replaced while in use; tunnels, sessions and connections go on.
//! Invariant: a candidate is checked before it is published; on failure the old one stays, with one warning.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::warn;
use tunnel_certs::{
    credential::CredentialError,
    file::FileError,
    identity::Role,
    key::PublicKeyError,
    statement::trust_bundle::{OpenError, TrustBundle},
    tls::{self, TlsError},
    verify::MeshVerifier,
};
use tunnel_protos::{UnixMillis, v1::Envelope};
use tunnel_runtime::{chain, drain};
use tunnel_transport::quic::{ALPN, Listener, ServerTls};

use self::{api::ApiCertificate, own::OwnCertificate};
pub(crate) use self::{
    api::{ApiTls, summary as summary_of_api},
    bundles::{Bundles, PublishError, Trusted},
    own::{Own, read as read_own},
};
use crate::{
    clock,
    config::{Config, EnrollConfig},
    enroll::Enroll,
    metrics,
    store::StoreError,
};

mod api;
mod bundles;
mod fingerprint;
mod own;

/// Why trust cannot be established.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("a file")]
    File(#[source] FileError),
    /// Not a vendor key.
    #[error("{0} is not a vendor key")]
    VendorKey(PathBuf, #[source] PublicKeyError),
    /// The trust bundle is refused.
    #[error("{0} is not a trust bundle that counts")]
    Bundle(PathBuf, #[source] OpenError),
    /// A certificate or its key cannot be used.
    #[error("{0} cannot be used")]
    Credential(PathBuf, #[source] CredentialError),
    /// The broker's own certificate would be refused by replicas.
    #[error("{0} does not hold under the trust bundle")]
    Mesh(PathBuf, #[source] CredentialError),
    /// Neither files of the broker's own certificate nor a mesh CA to issue it.
    #[error("the broker has no mesh certificate: name its files in `mesh`, or a mesh CA in `enroll.meshCa`")]
    NoMesh,
    /// The certificate is another role's.
    #[error("{0} is not a broker's certificate")]
    NotBroker(PathBuf),
    /// The certificate is over, or not valid yet.
    #[error("{0} is valid from {1} to {2} only")]
    Validity(PathBuf, UnixMillis, UnixMillis),
    /// TLS cannot be configured.
    #[error("TLS")]
    Tls(#[source] TlsError),
    /// The trust bundle that was published last cannot be read.
    #[error("the database")]
    Store(#[source] StoreError),
}

/// Everything that the broker shows and believes.
#[derive(Debug)]
pub(crate) struct Trust {
    bundles: Arc<Bundles>,
    own: OwnCertificate,
    api: ApiCertificate,
    enroll: Arc<Enroll>,
}

/// What may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Files, the clock says.
    Files,
    /// The trust bundle or the broker's own certificate.
    Mesh,
}

impl Trust {
    /// Reads what the configuration names, and checks it against the trust bundle in force.
    pub(crate) fn load(
        config: &Config,
        bundles: Arc<Bundles>,
        enroll: Arc<Enroll>,
        now: UnixMillis,
    ) -> Result<Self, TrustError> {
        let bundle = &bundles.current().bundle;
        let issued = issues_own(&config.enroll).then(|| enroll.leaf());
        let own = OwnCertificate::load(config.mesh.clone(), issued, bundle, now)?;
        let api = ApiCertificate::load(config.api.clone(), bundle, now)?;
        Ok(Self { bundles, own, api, enroll })
    }

    /// The trust bundles.
    pub(crate) fn bundles(&self) -> &Arc<Bundles> {
        &self.bundles
    }

    /// The broker's own mesh certificate, now and later.
    pub(crate) fn own(&self) -> watch::Receiver<Arc<Own>> {
        self.own.follow()
    }

    /// The broker's own mesh certificate now.
    pub(crate) fn own_now(&self) -> Arc<Own> {
        self.own.current()
    }

    /// TLS of the operators' API, now and later.
    pub(crate) fn api_tls(&self) -> watch::Receiver<Arc<ApiTls>> {
        self.api.follow()
    }

    /// TLS toward replicas, by the bundle and the certificate of now.
    pub(crate) fn mesh_tls(&self) -> Result<ServerTls, TrustError> {
        let verifier = mesh_verifier(&self.bundles.current().bundle);
        let credential = &self.own.current().credential;
        let config = tls::mesh_server(credential, verifier.clone(), Role::Replica, &[ALPN]);
        Ok(ServerTls { config: config.map_err(TrustError::Tls)?, verifier, peer: Role::Replica })
    }

    /// Replaces the trust bundle by one that an administrator brought.
    pub(crate) async fn publish(&self, envelope: &Envelope, now: UnixMillis) -> Result<(), PublishError> {
        self.bundles.replace(envelope, |next| self.holds_under(next, now), now).await
    }

    /// Follows files, bundle and certificate until drained, and lets `listener` use what is new.
    pub(crate) async fn keep(self: Arc<Self>, listener: Arc<Listener>, drain: drain::Watch) {
        let (mut bundle, mut own, mut issued) = (self.bundles.follow(), self.own(), self.enroll.leaf());
        while !drain.is_draining() {
            let change = tokio::select! {
                () = tokio::time::sleep(LOOK) => Change::Files,
                () = changed(&mut bundle) => Change::Mesh,
                () = changed(&mut own) => Change::Mesh,
                // It is published by the same look that reads files.
                () = changed(&mut issued) => Change::Files,
                () = drain.draining() => return,
            };
            match change {
                Change::Files => self.look(clock::now()).await,
                Change::Mesh => self.use_mesh(&listener, clock::now()).await,
            }
        }
    }

    /// Takes what changed in the files.
    async fn look(self: &Arc<Self>, now: UnixMillis) {
        self.bundles.look(|next| self.holds_under(next, now), now).await;
        self.look_at_certificates(now).await;
    }

    /// TLS toward replicas is made of bundle and certificate, and the API's of bundle and certificate, too.
    async fn use_mesh(self: &Arc<Self>, listener: &Listener, now: UnixMillis) {
        self.look_at_certificates(now).await;
        let used = self.mesh_tls().map(|tls| listener.set_tls(tls));
        match used {
            Ok(Ok(())) => metrics::reload("mesh_tls", true),
            Ok(Err(error)) => failed("mesh_tls", &error),
            Err(error) => failed("mesh_tls", &error),
        }
    }

    /// Files are read on a thread for blocking work; it ends by itself.
    async fn look_at_certificates(self: &Arc<Self>, now: UnixMillis) {
        let trust = Arc::clone(self);
        let look = tokio::task::spawn_blocking(move || {
            let bundle = &trust.bundles.current().bundle;
            trust.own.look(bundle, now);
            trust.api.look(bundle, now);
        });
        // It fails only when the process ends.
        let _ = look.await;
    }

    /// Whether replicas that know `next` alone would still find a broker here: by the certificate that it has, or by one
    /// that it can issue to itself.
    fn holds_under(&self, next: &TrustBundle, now: UnixMillis) -> bool {
        let own = self.own.current();
        let chain = std::slice::from_ref(own.credential.certificate());
        let roots = next.mesh_roots.certificates();
        mesh_verifier(next).verify(chain, Role::Broker, now).is_ok()
            || self.own.is_issued() && self.enroll.mesh_cas().iter().any(|ca| roots.contains(ca))
    }
}

/// With a mesh CA of its own, the broker's certificate is not a file.
fn issues_own(config: &EnrollConfig) -> bool {
    config.mesh_ca.is_some()
}

fn mesh_verifier(bundle: &TrustBundle) -> MeshVerifier {
    MeshVerifier::new(bundle.vendor.clone(), bundle.mesh_roots.clone())
}

/// Waits for the next value; for ever once there can be none.
pub(crate) async fn changed<T>(value: &mut watch::Receiver<T>) {
    if value.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// One warning and one count; what was in use stays.
fn failed(what: &'static str, error: &dyn std::error::Error) {
    metrics::reload(what, false);
    warn!(what, error = %chain(error), "Not replaced, what was in use stays");
}

/// A file that was just replaced counts when its administrator looks.
const LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
