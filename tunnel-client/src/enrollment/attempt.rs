//! One attempt to get a mesh certificate, by one way at one broker.
//!
//! Invariant: what comes back is handed to those who verify it: the certificate and the trust bundle to `trust/`, the
//! entry to the entries. What is stored is stored in an order in which a start at any moment just asks again.

use std::{path::Path, time::Duration};

use prost::Message;
use tracing::{debug, warn};
use tunnel_certs::{
    credential::Credential,
    enrollment::Opened,
    file::{self, FileError},
    key::SignError,
    reissue,
    tls::{self, TlsError},
};
use tunnel_protos::v1::{
    ChallengeRequest, FetchTrustBundle, Issued, JoinByServiceAccount, Redeem, Reissue, TokenKind,
    enroll_reply::Body as Reply, enroll_request::Body as Ask,
};
use tunnel_runtime::chain;

use super::{
    Entries, Facts, Member,
    door::{Door, DoorError},
    home,
    record::{Enrolled, RecordError},
    ways::Way,
};
use crate::{
    config::Cluster,
    disk::Disk,
    keys::{Keys, KeysError, Made},
    trust::{LeafError, Source, Trust},
};

/// Why it brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error("the TLS toward brokers")]
    Tls(#[source] TlsError),
    #[error("this client's keys")]
    Home(#[source] home::HomeError),
    #[error("the registration")]
    Registration(#[source] KeysError),
    #[error("this client's key")]
    Sign(#[source] SignError),
    #[error("the service-account token")]
    Token(#[source] FileError),
    #[error("what was issued cannot be kept")]
    Record(#[source] RecordError),
    #[error("the broker issued a certificate that is not taken")]
    Leaf(#[source] LeafError),
}

impl AttemptError {
    /// Whether this way will not work, however often it is tried.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Door(error) if error.is_final())
    }
}

/// What every attempt needs.
pub(super) struct Asker {
    pub(super) folder: std::path::PathBuf,
    pub(super) cluster: Cluster,
    pub(super) facts: Facts,
    pub(super) trust: Trust,
    pub(super) entries: Entries,
    pub(super) deadline: Duration,
    pub(super) disk: Disk,
}

impl Asker {
    /// Goes `way` at the broker with this address.
    pub(super) async fn ask(&self, address: &str, way: &Way) -> Result<Member, AttemptError> {
        let folder = self.folder.clone();
        let keys = self.disk.run(move || home::keys(&folder)).await.map_err(AttemptError::Home)?;
        let verifier = self.trust.belief().borrow().mesh();
        let tls = tls::enroll_client(verifier).map_err(AttemptError::Tls)?;
        let mut door = match Door::open(address, tls, self.deadline).await {
            Err(error) if error.is_unknown_issuer() => {
                self.refetch(address).await;
                return Err(error.into());
            }
            opened => opened?,
        };
        let (issued, member) = match way {
            Way::Redeem(opened) => self.redeem(&mut door, opened, &keys).await?,
            Way::Join(token) => (join(&mut door, token, &self.cluster, &keys).await?, Member::Further),
            Way::Reissue(leaf) => (reissued(&mut door, leaf, &keys).await?, Member::First),
        };
        self.take(issued, member).await
    }

    async fn redeem(
        &self,
        door: &mut Door,
        opened: &Opened,
        keys: &Keys,
    ) -> Result<(Issued, Member), AttemptError> {
        let bundle = &opened.bundle;
        let mut redeem = Redeem {
            token_id: bundle.token.to_string(),
            broker_secret: bundle.secret.broker_secret().as_bytes().to_vec(),
            ..Redeem::default()
        };
        let member = if bundle.kind == TokenKind::Cluster {
            let made = self.registration(opened, keys).await.map_err(AttemptError::Registration)?;
            redeem.mac = bundle.secret.ends_secret().mac(&made.envelope).to_vec();
            redeem.csr = made.mesh_csr;
            redeem.registration = Some(made.envelope);
            Member::First
        } else {
            redeem.csr = csr(keys)?;
            Member::Further
        };
        Ok((issued(door.ask(Ask::Redeem(redeem)).await?)?, member))
    }

    async fn registration(&self, opened: &Opened, keys: &Keys) -> Result<Made, KeysError> {
        let (facts, keys, folder) = (self.facts.clone(), keys.clone(), self.folder.clone());
        let about = (opened.bundle.label, (opened.sha256, opened.bundle.token));
        self.disk.run(move || facts.registration(&keys, &folder, about)).await
    }

    /// Roots may have been replaced while this client was away; a bundle proves itself, whoever hands it over.
    async fn refetch(&self, address: &str) {
        let fetched = async {
            let tls = tls::insecure_enroll_client().map_err(AttemptError::Tls)?;
            let mut door = Door::open(address, tls, self.deadline).await?;
            match door.ask(Ask::TrustBundle(FetchTrustBundle {})).await? {
                Reply::TrustBundle(envelope) => Ok(envelope.encode_to_vec()),
                _ => Err(AttemptError::Door(DoorError::Malformed)),
            }
        };
        match fetched.await {
            Ok(bundle) => self.offer_trust(bundle).await,
            Err(error) => debug!(error = %chain(&error), "Trust bundle not fetched"),
        }
    }

    /// An older or forged one changes nothing.
    async fn offer_trust(&self, bundle: Vec<u8>) {
        if let Err(error) = self.trust.offer(bundle, Source::Broker).await {
            debug!(error = %chain(&error), "Trust bundle of the broker not taken");
        }
    }

    /// The certificate is the last that is kept: without it, a start asks again.
    async fn take(&self, issued: Issued, member: Member) -> Result<Member, AttemptError> {
        if let Some(bundle) = issued.trust_bundle {
            self.offer_trust(bundle.encode_to_vec()).await;
        }
        let known = Enrolled::read(&self.folder).map_err(AttemptError::Record)?;
        let member = known.as_ref().map_or(member, |known| known.member);
        if known.is_none() {
            let enrolled = Enrolled { cluster: self.cluster.clone(), member };
            let folder = self.folder.clone();
            self.disk.run(move || enrolled.write(&folder)).await.map_err(AttemptError::Record)?;
        }
        self.trust.take_leaf(issued.certificate).await.map_err(AttemptError::Leaf)?;
        if let Some(entry) = issued.inventory_entry
            && let Err(error) = self.entries.offer(entry).await
        {
            warn!(error = %chain(&error), "Inventory entry of the broker not taken");
        }
        Ok(member)
    }
}

async fn join(door: &mut Door, token: &Path, cluster: &Cluster, keys: &Keys) -> Result<Issued, AttemptError> {
    let read = file::read(token).map_err(AttemptError::Token)?;
    let token = String::from_utf8_lossy(&read).trim().to_owned();
    let ask = JoinByServiceAccount { label: cluster.label.to_string(), token, csr: csr(keys)? };
    issued(door.ask(Ask::Join(ask)).await?)
}

async fn reissued(door: &mut Door, leaf: &Credential, keys: &Keys) -> Result<Issued, AttemptError> {
    let certificate = leaf.certificate().to_vec();
    let reply = door.ask(Ask::Challenge(ChallengeRequest { certificate })).await?;
    let Reply::Challenge(challenge) = reply else { return Err(DoorError::Malformed.into()) };
    let nonce: [u8; 32] = challenge.nonce[..].try_into().map_err(|_| DoorError::Malformed)?;
    let csr = csr(keys)?;
    let signature = reissue::sign(&keys.mesh, &nonce, &csr).map_err(AttemptError::Sign)?;
    issued(door.ask(Ask::Reissue(Reissue { signature, csr })).await?)
}

fn csr(keys: &Keys) -> Result<Vec<u8>, AttemptError> {
    keys.mesh.csr().map_err(AttemptError::Sign)
}

fn issued(reply: Reply) -> Result<Issued, AttemptError> {
    match reply {
        Reply::Issued(issued) => Ok(issued),
        Reply::Challenge(_) | Reply::TrustBundle(_) | Reply::Refused(_) => Err(DoorError::Malformed.into()),
    }
}
