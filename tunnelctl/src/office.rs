//! An administrator at work: a desk, and what is remembered of enrollment and trust.

use tunnel_certs::statement::inventory;
use tunnel_protos::{ClusterName, Label, UnixMillis};

use crate::{
    api::Administration,
    app::App,
    desk::Desk,
    enroll::Kept,
    failure::Failure,
    rotation::observed::Keys,
    trust::{Current, Memory},
};

/// What a command needs to speak for an administrator.
pub(crate) struct Office {
    pub(crate) desk: Desk,
    pub(crate) kept: Kept,
    pub(crate) trust: Memory,
}

impl Office {
    /// Opens the context of this run with its identity; nothing is dialed yet.
    pub(crate) fn open(app: &App) -> Result<Self, Failure> {
        let desk = Desk::open(app)?;
        let context = &desk.context;
        let trust = desk.state.join("trust.json");
        let trust = Memory::new(&trust, context.vendor.clone(), context.vendor_keys.clone());
        let kept = Kept::new(&desk.state.join("enroll"));
        kept.sweep(app.clock.now())?;
        Ok(Self { kept, trust, desk })
    }

    /// The broker's API for administrators.
    pub(crate) fn api(&self) -> &Administration {
        self.desk.requester.api.administration()
    }

    /// The trust bundle in force, verified.
    pub(crate) async fn trust(&self) -> Result<Current, Failure> {
        Ok(self.trust.accept(self.api().trust().await?)?)
    }

    /// The newest entry of a cluster, verified, over or not; none for a cluster that is new.
    pub(crate) async fn entry(
        &self,
        cluster: &ClusterName,
        now: UnixMillis,
    ) -> Result<Option<inventory::Opened>, Failure> {
        match self.desk.requester.api.cluster(cluster).await {
            Ok(said) if said.entry.is_none() => Ok(None),
            Ok(said) => Ok(Some(self.desk.entries.accept_lapsed(cluster, &said, now)?)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Names and cluster keys by label, of all clusters whose entries are proven.
    pub(crate) async fn keys(&self, now: UnixMillis) -> Result<Keys, Failure> {
        let said = self.desk.requester.api.clusters().await?;
        let proven = said.iter().filter_map(|said| {
            let cluster = said.cluster.parse().ok()?;
            let entry = self.desk.entries.accept_lapsed(&cluster, said, now).ok()?.entry;
            Some((entry.label, (entry.cluster, entry.cluster_key)))
        });
        Ok(proven.collect())
    }

    /// The label of a cluster that has an entry.
    pub(crate) async fn label(&self, cluster: &ClusterName, now: UnixMillis) -> Result<Label, Failure> {
        let entry = self.entry(cluster, now).await?;
        entry.map(|opened| opened.entry.label).ok_or_else(|| Failure::Entry(crate::entries::Error::Missing))
    }

    /// One more than the newest entry that the broker shows or this machine has seen.
    pub(crate) fn next_sequence(
        &self,
        cluster: &ClusterName,
        current: Option<&inventory::Opened>,
    ) -> Result<u64, Failure> {
        let seen = self.desk.entries.seen(cluster)?;
        let newest = current.map(|opened| opened.entry.sequence).max(seen);
        Ok(newest.map_or(1, |newest| newest.saturating_add(1)))
    }
}
