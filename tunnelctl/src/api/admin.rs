//! The broker's API for administrators. What comes back is the broker's word: nothing of it is believed before it was
//! verified by a key that the broker does not have.

use tonic::transport::Channel;
use tunnel_protos::{
    Label, ReplicaId, TokenId,
    operators::{
        self, BanReply, BanRequest, CreateTokenRequest, GetRegistrationRequest, GetRotationRequest,
        GetTrustRequest, ListReplicasRequest, ListTokensRequest, PrepareMeshCaRequest, PublishEntryRequest,
        PublishTrustRequest, RegistrationReply, RevokeTokenRequest, RotationStatus, SetPhaseRequest, Token,
        administration_client::AdministrationClient, get_registration_request::Of,
    },
    v1::{Envelope, RotationPhase},
};

use super::{CallError, paged, within};

/// A client of the administrators' API; shares the connection of [`super::Api`].
#[derive(Debug, Clone)]
pub struct Administration {
    client: AdministrationClient<Channel>,
}

impl Administration {
    pub(super) fn new(channel: Channel) -> Self {
        Self { client: AdministrationClient::new(channel).max_decoding_message_size(MOST_BYTES) }
    }

    /// Makes a token known; the same one again changes nothing.
    pub async fn create_token(&self, token: Token, secret_sha256: [u8; 32]) -> Result<Token, CallError> {
        let mut client = self.client.clone();
        let request = CreateTokenRequest { token: Some(token), broker_secret_sha256: secret_sha256.to_vec() };
        within("CreateToken", client.create_token(request)).await
    }

    /// All tokens that the broker has not forgotten.
    pub async fn tokens(&self) -> Result<Vec<Token>, CallError> {
        let mut client = self.client.clone();
        let reply = within("ListTokens", client.list_tokens(ListTokensRequest {})).await?;
        Ok(reply.tokens)
    }

    /// Makes a token good for nothing.
    pub async fn revoke_token(&self, id: TokenId) -> Result<Token, CallError> {
        let mut client = self.client.clone();
        within("RevokeToken", client.revoke_token(RevokeTokenRequest { token_id: id.to_string() })).await
    }

    /// What was redeemed with a token; none if nothing was yet.
    pub async fn registration_of(&self, id: TokenId) -> Result<Option<RegistrationReply>, CallError> {
        self.registration(Of::TokenId(id.to_string())).await
    }

    /// What a cluster sent over its tunnel to replace its keys; none if it did not.
    pub async fn replacement_of(&self, label: &Label) -> Result<Option<RegistrationReply>, CallError> {
        self.registration(Of::Label(label.to_string())).await
    }

    async fn registration(&self, of: Of) -> Result<Option<RegistrationReply>, CallError> {
        let mut client = self.client.clone();
        let request = GetRegistrationRequest { of: Some(of) };
        match within("GetRegistration", client.get_registration(request)).await {
            Ok(reply) => Ok(reply.registration.is_some().then_some(reply)),
            Err(error) if error.is_not_found() || error.is_not_yet() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Publishes an inventory entry; gives the number of tunnels that it was sent over.
    pub async fn publish_entry(&self, entry: Envelope) -> Result<u32, CallError> {
        let mut client = self.client.clone();
        let request = PublishEntryRequest { entry: Some(entry) };
        Ok(within("PublishEntry", client.publish_entry(request)).await?.tunnels)
    }

    /// Every replica of one cluster, or of all; at most `MOST_REPLICAS`.
    pub async fn replicas(&self, label: Option<&Label>) -> Result<Vec<operators::Replica>, CallError> {
        let label = label.map(Label::to_string).unwrap_or_default();
        paged(MOST_REPLICAS, |page_token| async {
            let mut client = self.client.clone();
            let page = ListReplicasRequest { label: label.clone(), page_size: 0, page_token };
            let reply = within("ListReplicas", client.list_replicas(page)).await?;
            Ok((reply.replicas, reply.next_page_token))
        })
        .await
    }

    /// Closes tunnels and issues no more; gives the number of tunnels closed.
    pub async fn ban(
        &self,
        label: &Label,
        replica: Option<&ReplicaId>,
        reason: &str,
    ) -> Result<BanReply, CallError> {
        let mut client = self.client.clone();
        within("Ban", client.ban(ban(label, replica, reason))).await
    }

    /// Takes a ban back.
    pub async fn unban(
        &self,
        label: &Label,
        replica: Option<&ReplicaId>,
        reason: &str,
    ) -> Result<BanReply, CallError> {
        let mut client = self.client.clone();
        within("Unban", client.unban(ban(label, replica, reason))).await
    }

    /// The trust bundle that the broker shows.
    pub async fn trust(&self) -> Result<Option<Envelope>, CallError> {
        let mut client = self.client.clone();
        Ok(within("GetTrust", client.get_trust(GetTrustRequest {})).await?.trust_bundle)
    }

    /// Replaces the trust bundle; the same one again changes nothing.
    pub async fn publish_trust(&self, trust_bundle: Envelope) -> Result<(), CallError> {
        let mut client = self.client.clone();
        let request = PublishTrustRequest { trust_bundle: Some(trust_bundle) };
        within("PublishTrust", client.publish_trust(request)).await.map(drop)
    }

    /// The next mesh CA (DER), made at the broker if there is none yet.
    pub async fn prepare_mesh_ca(&self) -> Result<Vec<u8>, CallError> {
        let mut client = self.client.clone();
        Ok(within("PrepareMeshCa", client.prepare_mesh_ca(PrepareMeshCaRequest {})).await?.certificate)
    }

    /// Enters a phase of the mesh rotation.
    pub async fn set_phase(&self, phase: RotationPhase) -> Result<RotationStatus, CallError> {
        let mut client = self.client.clone();
        within("SetPhase", client.set_phase(SetPhaseRequest { phase: phase.into() })).await
    }

    /// Where the mesh rotation is, with all replicas; at most `MOST_REPLICAS`. What is not about them is of the last page.
    pub async fn rotation(&self) -> Result<RotationStatus, CallError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let mut client = self.client.clone();
            let page = GetRotationRequest { page_size: 0, page_token };
            let mut reply = within("GetRotation", client.get_rotation(page)).await?;
            let some = std::mem::take(&mut reply.replicas);
            let is_last = some.is_empty() || reply.next_page_token.is_empty();
            all.extend(some);
            if is_last || all.len() >= MOST_REPLICAS {
                all.truncate(MOST_REPLICAS);
                return Ok(RotationStatus { replicas: all, ..reply });
            }
            page_token = reply.next_page_token;
        }
    }
}

fn ban(label: &Label, replica: Option<&ReplicaId>, reason: &str) -> BanRequest {
    BanRequest {
        label: label.to_string(),
        replica: replica.map(ReplicaId::to_string).unwrap_or_default(),
        reason: reason.into(),
    }
}

/// A broker that pages forever must not fill the memory.
const MOST_REPLICAS: usize = 100_000;
/// A page of replicas, each with an acknowledgement, by far; ten thousand tokens.
const MOST_BYTES: usize = 32 * 1024 * 1024;
