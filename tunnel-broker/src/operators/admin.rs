//! What administrators can call: operators whom the configuration names. It gives no power over clusters: what counts
//! there is signed by a vendor key, which is never here. Invariant: every call that changes something is logged with the
//! operator's name, whether it was done or not.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use tonic::{Request, Response, Status};
use tracing::{info, warn};
use tunnel_protos::{
    OperatorName, UnixMillis,
    operators::{
        BanReply, BanRequest, CreateTokenRequest, GetRegistrationRequest, GetRotationRequest, GetTrustReply,
        GetTrustRequest, ListReplicasReply, ListReplicasRequest, ListTokensReply, ListTokensRequest,
        MeshCaReply, PrepareMeshCaRequest, PublishEntryReply, PublishEntryRequest, PublishTrustRequest,
        RegistrationReply, RevokeTokenRequest, RotationStatus, SetPhaseRequest, Token,
        administration_server::Administration,
    },
};
use tunnel_runtime::chain;

use super::{server::Caller, status::CallError};
use crate::{
    clock,
    tunnels::{Around, Tunnels},
};

mod bans;
mod rotation;

/// The service.
#[derive(Debug)]
pub(crate) struct Admin {
    administrators: BTreeSet<OperatorName>,
    tunnels: Arc<Tunnels>,
}

impl Admin {
    /// For these operators only.
    pub(crate) fn new(administrators: Vec<OperatorName>, tunnels: Arc<Tunnels>) -> Self {
        Self { administrators: administrators.into_iter().collect(), tunnels }
    }

    fn around(&self) -> &Around {
        self.tunnels.around()
    }

    /// The administrator who made `request`, and when.
    fn administrator<T>(&self, request: &Request<T>) -> Result<(OperatorName, UnixMillis), CallError> {
        let operator = Caller::of(request)?;
        if self.administrators.contains(&operator) {
            Ok((operator, clock::now()))
        } else {
            Err(CallError::NotAdministrator(operator))
        }
    }

    fn trust(&self) -> GetTrustReply {
        GetTrustReply { trust_bundle: Some(self.around().trust.bundles().current().envelope.clone()) }
    }

    async fn publish_entry(
        &self,
        ask: PublishEntryRequest,
        now: UnixMillis,
    ) -> Result<PublishEntryReply, CallError> {
        let envelope = ask.entry.ok_or(CallError::Missing("the inventory entry is missing"))?;
        let entry = self.around().inventory.publish(&envelope, now).await.map_err(CallError::Entry)?;
        info!(cluster = %entry.cluster, label = %entry.label, "Inventory entry published");
        Ok(PublishEntryReply { tunnels: self.tunnels.count(entry.label) })
    }

    async fn publish_trust(
        &self,
        ask: PublishTrustRequest,
        now: UnixMillis,
    ) -> Result<GetTrustReply, CallError> {
        let envelope = ask.trust_bundle.ok_or(CallError::Missing("the trust bundle is missing"))?;
        self.around().trust.publish(&envelope, now).await.map_err(CallError::Trust)?;
        Ok(self.trust())
    }

    async fn list_replicas(&self, ask: &ListReplicasRequest) -> Result<ListReplicasReply, CallError> {
        let mut reply = self.around().enroll.replicas(ask).await.map_err(CallError::Admin)?;
        for replica in &mut reply.replicas {
            replica.connected = self.is_connected(&replica.label, &replica.id);
        }
        Ok(reply)
    }

    fn is_connected(&self, label: &str, replica: &str) -> bool {
        let (Ok(label), Ok(replica)) = (label.parse(), replica.parse()) else { return false };
        self.tunnels.is_connected(label, &replica)
    }
}

/// Logs who changed what, or tried to.
fn logged<T>(
    by: &OperatorName,
    what: &'static str,
    done: Result<T, CallError>,
) -> Result<Response<T>, Status> {
    match &done {
        Ok(_) => info!(%by, what, "Administered"),
        Err(error) => warn!(%by, what, error = %chain(error), "Not administered"),
    }
    Ok(Response::new(done?))
}

#[tonic::async_trait]
impl Administration for Admin {
    async fn create_token(&self, request: Request<CreateTokenRequest>) -> Result<Response<Token>, Status> {
        let (by, now) = self.administrator(&request)?;
        let done = self.around().enroll.create_token(request.into_inner(), &by, now).await;
        logged(&by, "create token", done.map_err(CallError::Admin))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensReply>, Status> {
        let (_, now) = self.administrator(&request)?;
        let tokens = self.around().enroll.list_tokens(now).await.map_err(CallError::Admin)?;
        Ok(Response::new(ListTokensReply { tokens }))
    }

    async fn revoke_token(&self, request: Request<RevokeTokenRequest>) -> Result<Response<Token>, Status> {
        let (by, now) = self.administrator(&request)?;
        let done = self.around().enroll.revoke_token(&request.get_ref().token_id, &by, now).await;
        logged(&by, "revoke token", done.map_err(CallError::Admin))
    }

    async fn get_registration(
        &self,
        request: Request<GetRegistrationRequest>,
    ) -> Result<Response<RegistrationReply>, Status> {
        let (_, now) = self.administrator(&request)?;
        let found = self.around().enroll.registration(request.get_ref().of.as_ref(), now).await;
        Ok(Response::new(found.map_err(CallError::Admin)?))
    }

    async fn publish_entry(
        &self,
        request: Request<PublishEntryRequest>,
    ) -> Result<Response<PublishEntryReply>, Status> {
        let (by, now) = self.administrator(&request)?;
        logged(&by, "publish inventory entry", self.publish_entry(request.into_inner(), now).await)
    }

    async fn list_replicas(
        &self,
        request: Request<ListReplicasRequest>,
    ) -> Result<Response<ListReplicasReply>, Status> {
        self.administrator(&request)?;
        Ok(Response::new(self.list_replicas(request.get_ref()).await?))
    }

    async fn ban(&self, request: Request<BanRequest>) -> Result<Response<BanReply>, Status> {
        let (by, now) = self.administrator(&request)?;
        logged(&by, "ban", self.ban(request.get_ref(), &by, now).await)
    }

    async fn unban(&self, request: Request<BanRequest>) -> Result<Response<BanReply>, Status> {
        let (by, _) = self.administrator(&request)?;
        logged(&by, "unban", self.unban(request.get_ref(), &by).await)
    }

    async fn get_trust(&self, request: Request<GetTrustRequest>) -> Result<Response<GetTrustReply>, Status> {
        self.administrator(&request)?;
        Ok(Response::new(self.trust()))
    }

    async fn publish_trust(
        &self,
        request: Request<PublishTrustRequest>,
    ) -> Result<Response<GetTrustReply>, Status> {
        let (by, now) = self.administrator(&request)?;
        logged(&by, "publish trust bundle", self.publish_trust(request.into_inner(), now).await)
    }

    async fn prepare_mesh_ca(
        &self,
        request: Request<PrepareMeshCaRequest>,
    ) -> Result<Response<MeshCaReply>, Status> {
        let (by, now) = self.administrator(&request)?;
        let prepared = self.around().enroll.prepare_mesh_ca(now).await.map_err(CallError::Admin);
        let reply = prepared.map(|certificate| MeshCaReply { certificate: certificate.to_vec() });
        logged(&by, "prepare mesh CA", reply)
    }

    async fn set_phase(&self, request: Request<SetPhaseRequest>) -> Result<Response<RotationStatus>, Status> {
        let (by, now) = self.administrator(&request)?;
        logged(&by, "set phase", self.set_phase(request.get_ref().phase(), &by, now).await)
    }

    async fn get_rotation(
        &self,
        request: Request<GetRotationRequest>,
    ) -> Result<Response<RotationStatus>, Status> {
        let (_, now) = self.administrator(&request)?;
        Ok(Response::new(self.rotation(request.get_ref(), now).await?))
    }
}
