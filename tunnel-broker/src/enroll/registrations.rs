//! Registrations: what clusters say of their own keys, kept for the administrator who checks and signs them.
//! Invariant: nothing here is believed because it is kept; what counts is an entry that the vendor signed.

use prost::Message;
use tracing::info;
use tunnel_certs::{
    key::PublicKey,
    statement::{
        envelope::{self, PayloadType},
        registration::{self, OpenError},
    },
};
use tunnel_protos::{
    Label, UnixMillis,
    operators::{RegistrationReply, get_registration_request::Of},
    v1::{self, Envelope},
};

use super::{AdminError, Enroll, tokens};
use crate::store::{StoreError, tokens::Registered};

/// Why a registration that came over a tunnel was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplacementError {
    /// The cluster has no entry whose key could have signed it.
    #[error("no inventory entry of this cluster is in force")]
    NoEntry,
    /// It does not hold.
    #[error("the registration")]
    Open(#[source] OpenError),
    /// It is another cluster's.
    #[error("it names another label than the tunnel's")]
    OtherLabel,
    /// The database failed.
    #[error("the database")]
    Store(#[source] StoreError),
}

impl Enroll {
    /// What was redeemed with a token, or the newest that a cluster sent over a tunnel.
    pub(crate) async fn registration(
        &self,
        of: Option<&Of>,
        now: UnixMillis,
    ) -> Result<RegistrationReply, AdminError> {
        match of {
            Some(Of::TokenId(id)) => self.redeemed_with(id, now).await,
            Some(Of::Label(label)) => self.sent_by(label).await,
            None => Err(AdminError::Malformed("name a token or a label")),
        }
    }

    async fn redeemed_with(&self, id: &str, now: UnixMillis) -> Result<RegistrationReply, AdminError> {
        let id = tokens::token_id(id)?;
        self.note_confirmed(now).await.map_err(AdminError::Store)?;
        let token = self.store.token(&id).await.map_err(AdminError::Store)?.ok_or(tokens::NO_TOKEN)?;
        let found = self.store.registration_of(&id).await.map_err(AdminError::Store)?;
        let found = found.ok_or(AdminError::Unknown("nothing was registered with this token yet"))?;
        reply(Some(tokens::message(&token, now)), found)
    }

    async fn sent_by(&self, label: &str) -> Result<RegistrationReply, AdminError> {
        let label =
            label.parse().map_err(|_| AdminError::Malformed("not a label (10 characters of a-z2-7)"))?;
        let found = self.store.newest_replacement(label).await.map_err(AdminError::Store)?;
        reply(None, found.ok_or(AdminError::Unknown("this cluster sent no registration over its tunnels"))?)
    }

    /// Keeps the registration that a cluster sent over its tunnel, signed by the cluster key of the entry in force.
    pub(crate) async fn store_replacement(
        &self,
        label: Label,
        replacement: &Envelope,
        now: UnixMillis,
    ) -> Result<(), ReplacementError> {
        let old = self.entry_in_force(label, now).and_then(|entry| cluster_key(&entry));
        let old = old.ok_or(ReplacementError::NoEntry)?;
        let bytes = replacement.encode_to_vec();
        let opened = registration::open_replacement(&bytes, &old).map_err(ReplacementError::Open)?;
        if opened.registration.label != label {
            return Err(ReplacementError::OtherLabel);
        }
        let registered = registered(&opened, bytes, Vec::new());
        self.store.put_replacement(label, &registered, now).await.map_err(ReplacementError::Store)?;
        info!(%label, words = %opened.words, "A cluster asks for new keys");
        Ok(())
    }

    /// The inventory entry of a label, which the vendor signed; it may have run out.
    pub(super) fn entry_of(&self, label: Label) -> Option<v1::InventoryEntry> {
        let envelope = (self.around.entry)(label)?;
        envelope::payload(&envelope, PayloadType::Inventory).ok()
    }

    /// The same while it holds.
    pub(super) fn entry_in_force(&self, label: Label, now: UnixMillis) -> Option<v1::InventoryEntry> {
        self.entry_of(label).filter(|entry| now.0 < entry.expires_ms)
    }

    /// Notes which redeemed tokens the vendor confirmed, by an entry with the keys that were registered.
    pub(super) async fn note_confirmed(&self, now: UnixMillis) -> Result<(), StoreError> {
        for (token, label, keys) in self.store.unconfirmed().await? {
            let Some(entry) = self.entry_in_force(label, now) else { continue };
            if [entry.cluster_key, entry.sealing_key] == keys {
                self.store.confirm_token(&token, now).await?;
                info!(%token, %label, "Enrollment confirmed");
            }
        }
        Ok(())
    }
}

/// The key that signs what the cluster says of itself.
pub(super) fn cluster_key(entry: &v1::InventoryEntry) -> Option<PublicKey> {
    PublicKey::from_ed25519_raw(&entry.cluster_key).ok()
}

/// A registration as it is kept.
pub(super) fn registered(opened: &registration::Opened, envelope: Vec<u8>, mac: Vec<u8>) -> Registered {
    Registered {
        cluster_key: opened.registration.cluster_key.raw().to_vec(),
        sealing_key: opened.registration.sealing_key.as_bytes().to_vec(),
        envelope,
        mac,
    }
}

fn reply(
    token: Option<tunnel_protos::operators::Token>,
    found: Registered,
) -> Result<RegistrationReply, AdminError> {
    let registration = Envelope::decode(found.envelope.as_slice())
        .map_err(|_| AdminError::Unknown("the registration is damaged; enroll again with a new token"))?;
    Ok(RegistrationReply { token, registration: Some(registration), mac: found.mac })
}

#[cfg(test)]
mod tests;
