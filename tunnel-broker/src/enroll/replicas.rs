//! Certificates of replicas, and the list of those who hold or held one.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tracing::{debug, warn};
use tunnel_certs::{
    crypto, csr,
    issue::{Authority, IssueError},
    key::PublicKey,
};
use tunnel_protos::{Label, ReplicaId, UnixMillis, operators, v1};
use tunnel_runtime::chain;

use super::{AdminError, Enroll, RenewError, choice::Whose, refusal::Refusal};
use crate::{
    metrics,
    store::{StoreError, replicas::Replica},
};

impl Enroll {
    /// Renews the certificate of a replica for the identity that its tunnel proved; of the request only the key counts.
    pub(crate) async fn renew(
        &self,
        csr: &[u8],
        label: Label,
        replica: &ReplicaId,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, RenewError> {
        let renewed = self.try_renew(csr, label, replica, now).await;
        metrics::enrollment("renew", renewed.as_ref().map_or_else(RenewError::as_str, |_| "issued"));
        renewed
    }

    async fn try_renew(
        &self,
        csr: &[u8],
        label: Label,
        replica: &ReplicaId,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, RenewError> {
        if self.banned(label, replica) {
            return Err(RenewError::Banned);
        }
        let key = csr::public_key(csr).map_err(RenewError::Csr)?;
        let issuer = self.issuer(Whose::Replica, now).ok_or(RenewError::NoAuthority)?;
        let ends = self.ends(&issuer, now);
        self.store.certify_replica(label, replica, key.spki(), ends).await.map_err(RenewError::Store)?;
        let certificate = self.sign(&issuer, &key, label, replica, now).map_err(RenewError::Issue)?;
        debug!(%label, %replica, until = %ends, "Certificate renewed");
        Ok(certificate)
    }

    /// Replicas that hold or held a certificate, and the token of the next page; who is connected is the caller's to say.
    pub(crate) async fn replicas(
        &self,
        ask: &operators::ListReplicasRequest,
    ) -> Result<operators::ListReplicasReply, AdminError> {
        let label = match ask.label.as_str() {
            "" => None,
            label => Some(
                label.parse().map_err(|_| AdminError::Malformed("not a label (10 characters of a-z2-7)"))?,
            ),
        };
        let page = Page::of(ask.page_size, &ask.page_token);
        self.write_sightings().await.map_err(AdminError::Store)?;
        let found = self.store.replicas(label, page.after, page.size).await.map_err(AdminError::Store)?;
        let next_page_token = page.next(&found, |replica| (replica.label, &replica.id));
        let replicas = found.iter().map(|replica| self.message(replica)).collect();
        Ok(operators::ListReplicasReply { replicas, next_page_token })
    }

    fn message(&self, replica: &Replica) -> operators::Replica {
        operators::Replica {
            id: replica.id.to_string(),
            label: replica.label.to_string(),
            connected: false,
            not_after_ms: replica.not_after.0,
            banned: self.banned(replica.label, &replica.id),
            last_seen_ms: replica.last_seen.0,
        }
    }

    /// The CA for replicas, or the answer that there is none now.
    pub(super) fn replica_issuer(&self, now: UnixMillis) -> Result<Arc<Authority>, Refusal> {
        self.issuer(Whose::Replica, now).ok_or_else(|| {
            warn!("No certificate issued: no key of a mesh CA that the trust bundle names is here");
            Refusal::Busy
        })
    }

    /// Where a certificate that is issued now ends.
    pub(super) fn ends(&self, issuer: &Authority, now: UnixMillis) -> UnixMillis {
        now.plus(self.config.leaf_life).min(issuer.validity().1)
    }

    /// Refuses a replica that is banned.
    pub(super) fn refuse_banned(&self, label: Label, replica: &ReplicaId) -> Result<(), Refusal> {
        if self.banned(label, replica) { Err(Refusal::Banned) } else { Ok(()) }
    }

    /// A certificate, and what the replica needs to use it.
    pub(super) fn issue(
        &self,
        issuer: &Authority,
        key: &PublicKey,
        label: Label,
        replica: &ReplicaId,
        now: UnixMillis,
    ) -> Result<v1::Issued, Refusal> {
        let certificate = self.sign(issuer, key, label, replica, now).map_err(|error| {
            warn!(error = %chain(&error), "No certificate issued");
            Refusal::Busy
        })?;
        Ok(v1::Issued {
            certificate: certificate.to_vec(),
            trust_bundle: Some(self.trusted().envelope.clone()),
            inventory_entry: (self.around.entry)(label),
        })
    }

    fn sign(
        &self,
        issuer: &Authority,
        key: &PublicKey,
        label: Label,
        replica: &ReplicaId,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, IssueError> {
        issuer.issue_replica(key, &self.vendor(), &label, replica, self.config.leaf_life, now)
    }
}

impl RenewError {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Banned => Refusal::Banned.as_str(),
            Self::Csr(_) => Refusal::Malformed.as_str(),
            Self::NoAuthority | Self::Issue(_) | Self::Store(_) => Refusal::Busy.as_str(),
        }
    }
}

impl Refusal {
    /// The database is our own trouble; the replica comes again.
    pub(super) fn of_store(error: &StoreError) -> Self {
        warn!(error = %chain(error), "Enrollment not stored");
        Self::Busy
    }
}

/// A name for a replica that nobody has.
pub(super) fn new_id() -> ReplicaId {
    // 50 random bits beside the label; the database refuses to give one that is taken.
    Label::from_random(crypto::random()).as_str().parse().expect("base32 is within the grammar of names")
}

/// Some of the replicas, in the order of label and id.
pub(super) struct Page<'t> {
    /// Label and id before the first.
    pub(super) after: (&'t str, &'t str),
    /// At most so many.
    pub(super) size: u32,
}

impl<'t> Page<'t> {
    /// Size 0 stands for as many as one reply lists; an empty token for the first page.
    pub(super) fn of(size: u32, token: &'t str) -> Self {
        let size = if size == 0 { PAGE } else { size.min(PAGE) };
        Self { after: token.split_once('/').unwrap_or_default(), size }
    }

    /// The token of the page after the one that was found; empty if there is none.
    pub(super) fn next<T>(&self, found: &[T], who: impl Fn(&T) -> (Label, &ReplicaId)) -> String {
        let full = found.len() >= self.size as usize;
        let last = found.last().filter(|_| full).map(who);
        last.map(|(label, id)| format!("{label}/{id}")).unwrap_or_default()
    }
}

/// As many as one reply lists.
const PAGE: u32 = 1_000;

#[cfg(test)]
mod tests;
