//! An operator without a command line: signs, seals, submits and opens as `tunnelctl` does, step by step, so that
//! tests can do any of it wrong.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use prost::Message;
use rustls_pki_types::ServerName;
use tonic::transport::Channel;
use tunnel_certs::{
    credential::Credential,
    key::{Algorithm, PublicKey, SealingKey, SigningKey},
    roots::Roots,
    seal,
    statement::{
        envelope, inventory, outcome,
        request::{self, Access, Certificate, Kind, Occasion, Reason, Request},
    },
    tls,
};
use tunnel_protos::{
    ClusterName, Digest, Door, DoorName, EnvelopeId, GrantId, MethodPattern, OperatorName, RequestId, Suffix,
    TargetName,
    operators::{
        GetClusterRequest, SubmitRequest, WatchRequestRequest, administration_client::AdministrationClient,
        operators_client::OperatorsClient, watch_request_event::Event,
    },
    v1,
};

use super::{
    PATIENCE,
    channel::Peer,
    vendor::{Files, Vendor, now},
};

/// One operator at one broker.
pub struct Operator {
    name: OperatorName,
    identity: Credential,
    vendor_key: PublicKey,
    suffix: Suffix,
    broker: SocketAddr,
    channel: Channel,
}

/// A request that was handed to the broker, and what opens its outcomes.
pub struct Submitted {
    /// What was asked.
    pub request: Request,
    /// Digest of its envelope.
    pub digest: Digest,
    /// What the broker knows it by.
    pub id: EnvelopeId,
    cluster_key: PublicKey,
    outcome_key: SealingKey,
}

/// A grant with a certificate under it: all that a session needs.
#[derive(Clone)]
pub struct Pass {
    /// The grant.
    pub grant: GrantId,
    /// Certificate and key.
    pub credential: Credential,
    /// The gate's anchors.
    pub anchors: Roots,
    /// Doors by target.
    pub doors: Vec<(TargetName, Door)>,
    /// Host name of the first door.
    pub host: String,
    broker: SocketAddr,
}

impl Operator {
    /// An operator of `vendor` with the identity in `files`, at the broker's TCP address.
    pub fn new(vendor: &Vendor, files: &Files, name: &OperatorName, broker: SocketAddr) -> Result<Self> {
        use tunnel_certs::key::Signer as _;
        let identity = Credential::load(&files.certificate, &files.key)?;
        let roots = tunnel_certs::credential::certificates_from_pem(&std::fs::read(vendor.api_ca_file())?)?;
        let tls = tls::operator_client(&identity, &roots, &[b"h2"])?;
        let api = Peer { address: broker, name: ServerName::try_from(vendor.suffix().api())?, tls };
        Ok(Self {
            name: name.clone(),
            identity,
            vendor_key: vendor.key().public().clone(),
            suffix: vendor.suffix().clone(),
            broker,
            channel: api.channel(),
        })
    }

    /// The operators' API as generated.
    pub fn api(&self) -> OperatorsClient<Channel> {
        OperatorsClient::new(self.channel.clone())
    }

    /// The administrators' API as generated; the broker refuses who is none.
    pub fn administration(&self) -> AdministrationClient<Channel> {
        AdministrationClient::new(self.channel.clone())
    }

    /// The cluster's entry, verified by the vendor key.
    pub async fn entry(&self, cluster: &ClusterName) -> Result<inventory::Entry> {
        let request = GetClusterRequest { cluster: cluster.to_string() };
        let cluster = self.api().get_cluster(request).await?.into_inner();
        let envelope = cluster.entry.context("no entry")?;
        Ok(inventory::open(&envelope.encode_to_vec(), std::slice::from_ref(&self.vendor_key), now())?.entry)
    }

    /// A request of `kind` that can be changed before it is sent.
    pub fn draft(&self, entry: &inventory::Entry, outcome_key: &SealingKey, kind: Kind) -> Result<Request> {
        let issued = now();
        Ok(Request {
            id: RequestId::random(),
            cluster: entry.cluster.clone(),
            label: entry.label,
            operator: self.name.clone(),
            issued,
            expires: issued.plus(Duration::from_secs(600)),
            reason: Reason {
                occasion: Occasion::Incident,
                text: "a test of the whole way".parse()?,
                ticket: "T-1".parse()?,
            },
            outcome_key: *outcome_key.public(),
            kind,
        })
    }

    /// Signs with the operator's identity.
    pub fn sign(&self, request: &Request) -> Result<v1::Envelope> {
        Ok(request::make(request, self.identity.key().as_ref(), self.identity.certificate())?)
    }

    /// Drafts, signs, seals and submits.
    pub async fn ask(&self, cluster: &ClusterName, kind: Kind) -> Result<Submitted> {
        let (submitted, sealed) = self.prepare(cluster, kind).await?;
        self.submit_sealed(sealed).await?;
        Ok(submitted)
    }

    /// Drafts, signs and seals; submitting the same bytes again changes nothing.
    pub async fn prepare(&self, cluster: &ClusterName, kind: Kind) -> Result<(Submitted, v1::SealedRequest)> {
        let entry = self.entry(cluster).await?;
        let outcome_key = SealingKey::generate()?;
        let request = self.draft(&entry, &outcome_key, kind)?;
        let envelope = self.sign(&request)?;
        let sealed = seal::seal_request(&envelope.encode_to_vec(), &entry.label, &entry.sealing_key)?;
        let (id, digest) = (seal::envelope_id(&sealed), envelope::digest(&envelope));
        Ok((Submitted { request, digest, id, cluster_key: entry.cluster_key, outcome_key }, sealed))
    }

    /// Seals the bytes of an envelope to the entry's cluster and submits them.
    pub async fn submit(&self, entry: &inventory::Entry, envelope: &[u8]) -> Result<EnvelopeId> {
        let sealed = seal::seal_request(envelope, &entry.label, &entry.sealing_key)?;
        self.submit_sealed(sealed).await
    }

    /// Submits what was sealed already.
    pub async fn submit_sealed(&self, sealed: v1::SealedRequest) -> Result<EnvelopeId> {
        let id = seal::envelope_id(&sealed);
        self.api().submit(SubmitRequest { request: Some(sealed) }).await?;
        Ok(id)
    }

    /// Waits for an outcome that `wanted` likes; earlier ones must verify too.
    pub async fn outcome(
        &self,
        submitted: &Submitted,
        wanted: impl Fn(&outcome::Outcome) -> bool,
    ) -> Result<outcome::Outcome> {
        let wait = async {
            let request = WatchRequestRequest { envelope_id: submitted.id.as_bytes().to_vec() };
            let mut events = self.api().watch_request(request).await?.into_inner();
            let mut last = 0;
            while let Some(event) = events.message().await? {
                let Some(Event::Outcome(sealed)) = event.event else { continue };
                let outcome = submitted.open(&sealed, last)?;
                last = outcome.sequence;
                if wanted(&outcome) {
                    return Ok(outcome);
                }
            }
            bail!("the watch ended without the outcome wanted")
        };
        tokio::time::timeout(PATIENCE, wait).await.context("no such outcome in time")?
    }

    /// Asks for methods and waits for the decision.
    pub async fn access(
        &self,
        cluster: &ClusterName,
        methods: &[&str],
    ) -> Result<(Submitted, outcome::Outcome)> {
        let submitted = self.ask(cluster, access_to(methods)?).await?;
        let outcome = self.outcome(&submitted, |outcome| outcome.state != v1::RequestState::Pending).await?;
        Ok((submitted, outcome))
    }

    /// Asks for a certificate under a grant, with a fresh key.
    pub async fn certificate(&self, cluster: &ClusterName, grant: GrantId) -> Result<Pass> {
        let key = Arc::new(SigningKey::generate(Algorithm::P256)?);
        let kind = Kind::Certificate(Certificate { grant, csr: key.csr()? });
        let submitted = self.ask(cluster, kind).await?;
        let outcome = self.outcome(&submitted, |_| true).await?;
        let told = format!("{:?}: {}", outcome.state, outcome.reason);
        let issued = outcome.issued.with_context(|| format!("no certificate: {told}"))?;
        self.pass_of(&submitted, issued, key)
    }

    /// What a certificate request brought, with the key that it was for.
    pub fn pass_of(
        &self,
        submitted: &Submitted,
        issued: outcome::Issued,
        key: Arc<SigningKey>,
    ) -> Result<Pass> {
        use tunnel_certs::key::Signer as _;
        let Kind::Certificate(Certificate { grant, .. }) = submitted.request.kind else {
            bail!("not a certificate request");
        };
        issued.check_key(key.public())?;
        let (_, door) = issued.doors.first().context("no door")?;
        let name = DoorName { door: *door, label: submitted.request.label };
        Ok(Pass {
            grant,
            credential: Credential::new(vec![issued.certificate], key)?,
            anchors: Roots::new(issued.anchors)?,
            host: name.host(&self.suffix),
            doors: issued.doors,
            broker: self.broker,
        })
    }

    /// The whole way: access, decision, certificate.
    pub async fn pass(&self, cluster: &ClusterName, methods: &[&str]) -> Result<Pass> {
        self.pass_for(cluster, access_to(methods)?).await
    }

    /// The same for any access.
    pub async fn pass_for(&self, cluster: &ClusterName, kind: Kind) -> Result<Pass> {
        let submitted = self.ask(cluster, kind).await?;
        let outcome = self.outcome(&submitted, |outcome| outcome.state != v1::RequestState::Pending).await?;
        let told = format!("{:?}: {}", outcome.state, outcome.reason);
        anyhow::ensure!(outcome.state == v1::RequestState::Approved, "not approved: {told}");
        self.certificate(cluster, submitted.request.id.into()).await
    }
}

/// Asks for methods or patterns of the target `default`.
pub fn access_to(methods: &[&str]) -> Result<Kind> {
    access_at(&["default"], methods)
}

/// The same for a work window of one's own.
pub fn access_for(methods: &[&str], wanted: Duration) -> Result<Kind> {
    let Kind::Access(access) = access_to(methods)? else { bail!("not an access") };
    Ok(Kind::Access(Access { wanted, ..access }))
}

/// Asks for methods or patterns of these targets.
pub fn access_at(targets: &[&str], methods: &[&str]) -> Result<Kind> {
    let methods: Result<Vec<MethodPattern>, _> = methods.iter().map(|method| method.parse()).collect();
    let targets: Result<Vec<TargetName>, _> = targets.iter().map(|target| target.parse()).collect();
    let wanted = Duration::from_secs(600);
    Ok(Kind::Access(Access { methods: methods?, targets: targets?, raw: false, wanted }))
}

impl Submitted {
    /// Opens one outcome of this request, refusing one before `last`.
    pub fn open(&self, sealed: &v1::SealedOutcome, last: u64) -> Result<outcome::Outcome> {
        let bytes = seal::open_outcome(sealed, &self.id, &self.outcome_key)?;
        Ok(outcome::open(&bytes, &self.cluster_key, &self.digest, last)?)
    }
}

impl Pass {
    /// The same at the door of another target.
    pub fn at(&self, target: &str) -> Result<Self> {
        let door = self.doors.iter().find(|(name, _)| name.as_str() == target);
        let (_, door) = door.with_context(|| format!("no door of target {target}"))?;
        let (_, domain) = self.host.split_once('.').context("a host without a domain")?;
        Ok(Self { host: format!("{door}.{domain}"), ..self.clone() })
    }

    /// How to reach the gate through the broker.
    pub fn peer(&self) -> Result<Peer> {
        self.peer_as(&self.host, &self.credential)
    }

    /// The same with another name or another credential, for what must be refused.
    pub fn peer_as(&self, host: &str, credential: &Credential) -> Result<Peer> {
        let tls = tls::grant_client(credential, &self.anchors, &[b"h2"])?;
        Ok(Peer { address: self.broker, name: ServerName::try_from(host.to_owned())?, tls })
    }

    /// A gRPC channel through the tunnel.
    pub fn channel(&self) -> Result<Channel> {
        Ok(self.peer()?.channel())
    }
}
