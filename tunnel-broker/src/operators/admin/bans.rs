//! Bans: told to enrollment, which remembers, and to the tunnels, which end at once.

use tunnel_protos::{
    Label, OperatorName, PersonText, ReplicaId, UnixMillis,
    operators::{BanReply, BanRequest},
};
use tunnel_transport::Code;

use super::Admin;
use crate::{enroll::Banned, operators::status::CallError};

impl Admin {
    /// Tunnels end beside the database call: a ban holds from the moment it is said.
    pub(super) async fn ban(
        &self,
        ask: &BanRequest,
        by: &OperatorName,
        now: UnixMillis,
    ) -> Result<BanReply, CallError> {
        let (label, replica) = whom(ask)?;
        let reason: PersonText = ask
            .reason
            .parse()
            .map_err(|_| CallError::Missing("the reason is one line of at most 512 bytes"))?;
        let banned = Banned { label, replica: replica.clone(), reason: reason.to_string(), by: by.clone() };
        let close = async { self.tunnels.close(label, replica.as_ref(), Code::Banned) };
        let (stored, closed) = tokio::join!(self.around().enroll.ban(&banned, now), close);
        stored.map_err(CallError::Admin)?;
        Ok(BanReply { closed })
    }

    pub(super) async fn unban(&self, ask: &BanRequest, by: &OperatorName) -> Result<BanReply, CallError> {
        let (label, replica) = whom(ask)?;
        self.around().enroll.unban(label, replica.as_ref(), by).await.map_err(CallError::Admin)?;
        Ok(BanReply::default())
    }
}

fn whom(ask: &BanRequest) -> Result<(Label, Option<ReplicaId>), CallError> {
    let label =
        ask.label.parse().map_err(|_| CallError::Missing("name a label (10 characters of a-z2-7)"))?;
    let replica = match ask.replica.as_str() {
        "" => None,
        id => Some(
            id.parse()
                .map_err(|_| CallError::Missing("not a replica's id; `tunnelctl replicas` lists them"))?,
        ),
    };
    Ok((label, replica))
}
