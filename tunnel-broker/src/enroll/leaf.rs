//! The broker's own mesh certificate, issued by itself: checked as replicas will, published, renewed at two thirds of
//! its life and when another CA signs. Its key lives in memory only. On failure the old one stays.

use std::{sync::Arc, time::Duration};

use tracing::{info, warn};
use tunnel_certs::{
    credential::Credential,
    crypto,
    identity::Role,
    issue::Authority,
    key::{Algorithm, Signer, SigningKey},
    renew, tls,
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::{chain, drain};

use super::{Enroll, LeafError, choice::Whose};
use crate::{clock, metrics, trust::changed};

/// The broker's own certificate with its key, and the CA that signed it.
#[derive(Debug)]
pub(crate) struct OwnLeaf {
    /// Certificate and key.
    pub(crate) credential: Credential,
    /// For who enrolls.
    pub(super) enroll_tls: Arc<rustls::ServerConfig>,
    issuer: Arc<Authority>,
    /// When it is to be renewed.
    due: UnixMillis,
}

impl Enroll {
    /// Renews the broker's own certificate whenever it is time, until drained.
    pub(super) async fn keep_leaf(&self, drain: &drain::Watch) {
        let (mut trust, mut phase) = (self.around.trust.clone(), self.phase.subscribe());
        while !drain.is_draining() {
            let wait = self.renew_own_leaf(clock::now());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed(&mut trust) => {}
                () = changed(&mut phase) => {}
                () = drain.draining() => {}
            }
        }
    }

    /// Renews the certificate if it is time; returns how long to wait before looking again.
    pub(super) fn renew_own_leaf(&self, now: UnixMillis) -> Duration {
        let due = self.own_leaf_due(now);
        if due > now {
            // Looked at again now and then, since the wall clock may be set.
            return due.since(now).min(LOOK);
        }
        match self.issue_own_leaf(now) {
            Ok(()) => self.own_leaf_due(now).since(now).min(LOOK),
            Err(LeafError::NoAuthority) if self.authorities.is_empty() => LOOK,
            Err(error) => {
                metrics::enrollment("broker", "failed");
                warn!(error = %chain(&error), "The broker's own certificate was not renewed");
                RETRY
            }
        }
    }

    fn own_leaf_due(&self, now: UnixMillis) -> UnixMillis {
        let leaf = self.leaf.borrow();
        let Some(leaf) = leaf.as_ref() else { return now };
        match self.issuer(Whose::Broker, now) {
            Some(issuer) if issuer.certificate() != leaf.issuer.certificate() => now,
            Some(_) | None => leaf.due,
        }
    }

    /// Issues and publishes the broker's own certificate.
    pub(super) fn issue_own_leaf(&self, now: UnixMillis) -> Result<(), LeafError> {
        let issuer = self.issuer(Whose::Broker, now).ok_or(LeafError::NoAuthority)?;
        let key = Arc::new(SigningKey::generate(Algorithm::P256).map_err(LeafError::Key)?);
        let bundle = &self.trusted().bundle;
        let life = self.config.leaf_life;
        let certificate = issuer
            .issue_broker(key.public(), &bundle.vendor, self.broker_id(), life, now)
            .map_err(LeafError::Issue)?;
        let verified = self.mesh().verify(std::slice::from_ref(&certificate), Role::Broker, now);
        let not_after = verified.map_err(LeafError::Verify)?.not_after;
        let ca_not_after = issuer.validity().1;
        let credential = Credential::new(vec![certificate], key).map_err(LeafError::Credential)?;
        let due = renew::due(now, not_after, u64::from_be_bytes(crypto::random()));
        let enroll_tls = tls::enroll_server(&credential).map_err(LeafError::Tls)?;
        self.leaf.send_replace(Some(Arc::new(OwnLeaf { credential, enroll_tls, issuer, due })));
        metrics::enrollment("broker", "issued");
        metrics::expiration("mesh_certificate", not_after);
        metrics::expiration("mesh_ca", ca_not_after);
        info!(until = %not_after, "Issued the broker's own certificate");
        Ok(())
    }
}

/// Longest time between two looks at the clock.
const LOOK: Duration = Duration::from_secs(60);
/// After a failure.
const RETRY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
