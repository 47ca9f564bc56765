//! What the broker of tests answers: both of its APIs over its books.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use prost::Message;
use tonic::{Request, Response, Status};
use tunnel_certs::{
    issue::Authority,
    key::PublicKey,
    statement::{
        envelope::{self, PayloadType},
        trust_bundle::TrustBundle,
    },
    verify::Summary,
};
use tunnel_protos::{
    operators::{
        BanReply, BanRequest, Cluster, CreateTokenRequest, GetClusterRequest, GetRegistrationRequest,
        GetRotationRequest, GetTrustReply, GetTrustRequest, ListClustersReply, ListClustersRequest,
        ListReplicasReply, ListReplicasRequest, ListTokensReply, ListTokensRequest, MeshCaReply,
        PrepareMeshCaRequest, PublishEntryReply, PublishEntryRequest, PublishTrustRequest, RegistrationReply,
        Replica, RevokeTokenRequest, RotationStatus, SetPhaseRequest, SubmitReply, SubmitRequest, Token,
        TokenState, WatchRequestEvent, WatchRequestRequest, WhoAmIReply, WhoAmIRequest,
        administration_server::Administration, get_registration_request::Of, operators_server::Operators,
    },
    v1::{self, Envelope, RotationPhase},
};

use super::{Hall, Member, mesh_ca, now};

fn cluster((name, entry): (&String, &Envelope)) -> Cluster {
    let message: v1::InventoryEntry = envelope::payload(entry, PayloadType::Inventory).unwrap();
    Cluster { cluster: name.clone(), label: message.label, entry: Some(entry.clone()), ..Cluster::default() }
}

fn reply<T>(value: T) -> Result<Response<T>, Status> {
    Ok(Response::new(value))
}

#[tonic::async_trait]
impl Operators for Hall {
    type WatchRequestStream = Pin<Box<dyn Stream<Item = Result<WatchRequestEvent, Status>> + Send>>;

    async fn who_am_i(&self, _: Request<WhoAmIRequest>) -> Result<Response<WhoAmIReply>, Status> {
        let (operator, suffix) = ("dana".into(), "tunnel.example".into());
        reply(WhoAmIReply { operator, broker_id: "b1".into(), suffix })
    }

    async fn list_clusters(
        &self,
        _: Request<ListClustersRequest>,
    ) -> Result<Response<ListClustersReply>, Status> {
        self.called()?;
        let clusters = self.books().entries.iter().map(cluster).collect();
        reply(ListClustersReply { clusters, next_page_token: String::new() })
    }

    async fn get_cluster(&self, request: Request<GetClusterRequest>) -> Result<Response<Cluster>, Status> {
        self.called()?;
        let books = self.books();
        let found = books.entries.get_key_value(&request.into_inner().cluster);
        reply(found.map(cluster).ok_or_else(|| Status::not_found("no such cluster"))?)
    }

    async fn submit(&self, _: Request<SubmitRequest>) -> Result<Response<SubmitReply>, Status> {
        Err(Status::unimplemented("no mailbox here"))
    }

    async fn watch_request(
        &self,
        _: Request<WatchRequestRequest>,
    ) -> Result<Response<Self::WatchRequestStream>, Status> {
        Err(Status::unimplemented("no mailbox here"))
    }
}

#[tonic::async_trait]
impl Administration for Hall {
    async fn create_token(&self, request: Request<CreateTokenRequest>) -> Result<Response<Token>, Status> {
        self.called()?;
        let request = request.into_inner();
        let token = Token { state: TokenState::Open.into(), created_ms: now().0, ..request.token.unwrap() };
        self.books().tokens.push((token.clone(), request.broker_secret_sha256));
        reply(token)
    }

    async fn list_tokens(&self, _: Request<ListTokensRequest>) -> Result<Response<ListTokensReply>, Status> {
        reply(ListTokensReply {
            tokens: self.books().tokens.iter().map(|(token, _)| token.clone()).collect(),
        })
    }

    async fn revoke_token(&self, request: Request<RevokeTokenRequest>) -> Result<Response<Token>, Status> {
        let id = request.into_inner().token_id;
        let mut books = self.books();
        let (token, _) = books.tokens.iter_mut().find(|(token, _)| token.id == id).unwrap();
        token.state = TokenState::Revoked.into();
        reply(token.clone())
    }

    async fn get_registration(
        &self,
        request: Request<GetRegistrationRequest>,
    ) -> Result<Response<RegistrationReply>, Status> {
        let books = self.books();
        let found = match request.into_inner().of.unwrap() {
            Of::TokenId(id) => books.redeemed.get(&id).cloned(),
            Of::Label(label) => books.replacements.get(&label).map(|envelope| (envelope.clone(), vec![])),
        };
        let (registration, mac) = found.ok_or_else(|| Status::not_found("no registration"))?;
        reply(RegistrationReply { token: None, registration: Some(registration), mac })
    }

    async fn publish_entry(
        &self,
        request: Request<PublishEntryRequest>,
    ) -> Result<Response<PublishEntryReply>, Status> {
        self.called()?;
        let entry = request.into_inner().entry.unwrap();
        let message: v1::InventoryEntry = envelope::payload(&entry, PayloadType::Inventory).unwrap();
        self.books().entries.insert(message.cluster, entry);
        reply(PublishEntryReply { tunnels: 1 })
    }

    async fn list_replicas(
        &self,
        request: Request<ListReplicasRequest>,
    ) -> Result<Response<ListReplicasReply>, Status> {
        let label = request.into_inner().label;
        let books = self.books();
        let meant = books.replicas.iter().filter(|member| label.is_empty() || member.label.as_str() == label);
        let replica = |member: &Member| Replica {
            id: member.id.to_string(),
            label: member.label.to_string(),
            connected: !member.away,
            banned: books.bans.contains(&(member.label.to_string(), member.id.to_string())),
            ..Replica::default()
        };
        reply(ListReplicasReply { replicas: meant.map(replica).collect(), next_page_token: String::new() })
    }

    async fn ban(&self, request: Request<BanRequest>) -> Result<Response<BanReply>, Status> {
        let BanRequest { label, replica, .. } = request.into_inner();
        self.books().bans.push((label, replica));
        reply(BanReply { closed: 1 })
    }

    async fn unban(&self, request: Request<BanRequest>) -> Result<Response<BanReply>, Status> {
        let BanRequest { label, replica, .. } = request.into_inner();
        self.books().bans.retain(|ban| *ban != (label.clone(), replica.clone()));
        reply(BanReply { closed: 0 })
    }

    async fn get_trust(&self, _: Request<GetTrustRequest>) -> Result<Response<GetTrustReply>, Status> {
        self.called()?;
        reply(GetTrustReply { trust_bundle: Some(self.books().trust.clone()) })
    }

    async fn publish_trust(
        &self,
        request: Request<PublishTrustRequest>,
    ) -> Result<Response<GetTrustReply>, Status> {
        self.called()?;
        let next = request.into_inner().trust_bundle.unwrap();
        let mut books = self.books();
        let keys = books.bundle().vendor_keys;
        let keys = keys.iter().map(|raw| PublicKey::from_ed25519_raw(raw).unwrap());
        let keys: Vec<_> = keys.collect();
        let current = TrustBundle::open_at_any_time(&books.trust.encode_to_vec(), &keys);
        if books.trust != next
            && let Ok(current) = current
        {
            let opened = current.open_next(&next.encode_to_vec(), now());
            opened.map_err(|error| Status::failed_precondition(error.to_string()))?;
        }
        books.trust = next;
        let sequence = books.bundle().sequence;
        books.published.push(sequence);
        reply(GetTrustReply { trust_bundle: Some(books.trust.clone()) })
    }

    async fn prepare_mesh_ca(
        &self,
        _: Request<PrepareMeshCaRequest>,
    ) -> Result<Response<MeshCaReply>, Status> {
        self.called()?;
        let mut books = self.books();
        let newest = Summary::read(books.roots().last().unwrap()).unwrap().not_before;
        let follows = |ca: &&Arc<Authority>| ca.validity().0 > newest;
        let made = books.cas.iter().rev().find(follows).cloned();
        let made = made.unwrap_or_else(|| {
            let made = Arc::new(mesh_ca(now()));
            books.cas.push(Arc::clone(&made));
            made
        });
        reply(MeshCaReply { certificate: made.certificate().to_vec() })
    }

    async fn set_phase(&self, request: Request<SetPhaseRequest>) -> Result<Response<RotationStatus>, Status> {
        self.called()?;
        let to = request.into_inner().phase();
        let mut books = self.books();
        if !books.may_enter(to) {
            return Err(Status::failed_precondition("not now"));
        }
        books.phase = to;
        if to == RotationPhase::Standby {
            let roots = books.roots();
            books.cas.retain(|ca| roots.contains(&ca.certificate().to_vec()));
        }
        reply(books.status())
    }

    /// In pages of two.
    async fn get_rotation(
        &self,
        request: Request<GetRotationRequest>,
    ) -> Result<Response<RotationStatus>, Status> {
        self.called()?;
        let mut status = self.books().status();
        let begin: usize = request.get_ref().page_token.parse().unwrap_or_default();
        let end = begin + 2;
        if end < status.replicas.len() {
            status.next_page_token = end.to_string();
        }
        status.replicas = status.replicas.into_iter().skip(begin).take(2).collect();
        reply(status)
    }
}
