//! The vendor's administrator: invites clusters, and confirms what their people read out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost::Message;
use tonic::transport::Channel;
use tunnel_certs::{
    crypto,
    enrollment::{Bundle, EndsSecret, Secret},
    file,
    key::Signer,
    statement::{
        envelope, inventory,
        registration::{self, Opened},
    },
};
use tunnel_protos::{
    ClusterName, Digest, Label, TokenId,
    operators::{
        CreateTokenRequest, GetRegistrationRequest, PublishEntryRequest, Token,
        administration_client::AdministrationClient, get_registration_request::Of,
    },
    v1::{Envelope, TokenKind},
};

use super::{
    PATIENCE,
    operator::Operator,
    vendor::{Vendor, now},
    wait::until,
};

/// One administrator at one broker, with the vendor key beside it.
pub struct Administrator<'v> {
    vendor: &'v Vendor,
    api: AdministrationClient<Channel>,
}

/// What a customer is handed, and what the administrator keeps.
pub struct Invitation {
    /// The bundle's file.
    pub file: PathBuf,
    /// The cluster.
    pub cluster: ClusterName,
    /// Its label.
    pub label: Label,
    /// Its token.
    pub token: TokenId,
    ends: EndsSecret,
}

impl<'v> Administrator<'v> {
    /// `operator` must be one whom the broker takes for an administrator.
    pub fn new(vendor: &'v Vendor, operator: &Operator) -> Self {
        Self { vendor, api: operator.administration() }
    }

    /// The API as generated.
    pub fn api(&self) -> AdministrationClient<Channel> {
        self.api.clone()
    }

    /// Makes a token for a new cluster and writes its bundle to `file`.
    pub async fn invite(&self, cluster: &ClusterName, file: &Path, brokers: &[String]) -> Result<Invitation> {
        let trust_bundle = self.api().get_trust(tunnel_protos::operators::GetTrustRequest {}).await?;
        let bundle = Bundle {
            vendor: self.vendor.name().clone(),
            suffix: self.vendor.suffix().clone(),
            broker_addresses: brokers.to_vec(),
            vendor_keys: vec![self.vendor.key().public().clone()],
            trust_bundle: trust_bundle.into_inner().trust_bundle.context("no trust bundle")?,
            cluster: cluster.clone(),
            label: Label::from_random(crypto::random::<17>()),
            kind: TokenKind::Cluster,
            token: TokenId::from_random(crypto::random()),
            secret: Secret::random(),
            expires: now().plus(Bundle::DEFAULT_LIFE),
        };
        let token = Token {
            id: bundle.token.to_string(),
            kind: TokenKind::Cluster.into(),
            cluster: cluster.to_string(),
            label: bundle.label.to_string(),
            expires_ms: bundle.expires.0,
            ..Default::default()
        };
        let broker_secret_sha256 = bundle.secret.broker_secret().sha256().to_vec();
        self.api().create_token(CreateTokenRequest { token: Some(token), broker_secret_sha256 }).await?;
        file::write_private(file, &bundle.encode())?;
        let Bundle { cluster, label, token, secret, .. } = bundle;
        Ok(Invitation { file: file.to_owned(), cluster, label, token, ends: secret.ends_secret() })
    }

    /// Waits for the registration and checks that no broker changed it; its words are for the customer to read out.
    pub async fn registration(&self, invitation: &Invitation) -> Result<Opened> {
        until("the cluster registers", PATIENCE, || async {
            let of = Some(Of::TokenId(invitation.token.to_string()));
            let reply = self.api().get_registration(GetRegistrationRequest { of }).await?.into_inner();
            let envelope = reply.registration.context("not redeemed yet")?;
            invitation.ends.check(&envelope, &reply.mac)?;
            Ok::<_, anyhow::Error>(registration::open(&envelope.encode_to_vec())?)
        })
        .await
    }

    /// Signs the entry of a registration and publishes it; gives its digest, of which the customer types the words.
    pub async fn confirm(&self, cluster: &ClusterName, opened: &Opened, sequence: u64) -> Result<Digest> {
        let entry = inventory::Entry {
            cluster: cluster.clone(),
            label: opened.registration.label,
            cluster_key: opened.registration.cluster_key.clone(),
            sealing_key: opened.registration.sealing_key,
            sequence,
            expires: now().plus(inventory::Entry::MAX_LIFE / 2),
        };
        let envelope: Envelope = entry.make(self.vendor.key())?;
        let digest = envelope::digest(&envelope);
        self.api().publish_entry(PublishEntryRequest { entry: Some(envelope) }).await?;
        Ok(digest)
    }
}
