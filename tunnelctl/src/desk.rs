//! An operator at work: the context, the identity, the way to the broker, and what is remembered between runs.

use std::path::PathBuf;

use tunnel_certs::statement::inventory::Entry;
use tunnel_protos::ClusterName;

use crate::{
    api::Api,
    app::App,
    context::{Context, Contexts},
    entries::Entries,
    failure::Failure,
    operator::Operator,
    requester::{Requester, record::Folder},
    session::{Place, Sessions},
    surroundings::Clock,
};

/// What a command needs to speak for an operator.
pub(crate) struct Desk {
    pub(crate) context: Context,
    pub(crate) requester: Requester,
    pub(crate) entries: Entries,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Clock,
    /// What this context remembers.
    pub(crate) state: PathBuf,
}

impl Desk {
    /// Opens the context of this run with its identity; nothing is dialed yet.
    pub(crate) fn open(app: &App) -> Result<Self, Failure> {
        let (name, context) = Contexts::new(&app.folders.config).load(app.context.as_ref())?;
        let operator = Operator::load(&context.identity, app.clock.now())?;
        let api = Api::new(&context.api, &operator.credential)?;
        let state = app.folders.state.join(name.to_string());
        let sessions = Sessions::new(&app.folders.runtime.join(name.to_string()));
        // What ended leaves no keys behind, whatever command runs next.
        sessions.live(app.clock.now())?;
        let folder = Folder::new(&state.join("requests"));
        folder.open(app.clock.now())?;
        folder.sweep(std::time::SystemTime::now())?;
        let clock = app.clock.clone();
        Ok(Self {
            entries: Entries::new(&state.join("entries"), context.vendor_keys.clone()),
            requester: Requester { api, operator, folder, clock: clock.clone() },
            context,
            sessions,
            clock,
            state,
        })
    }

    /// The verified entry of a cluster, fetched anew.
    pub(crate) async fn entry(&self, cluster: &ClusterName) -> Result<Entry, Failure> {
        let said = self.requester.api.cluster(cluster).await?;
        Ok(self.entries.accept_as(cluster, &said, self.clock.now())?.entry)
    }

    /// How the doors of a cluster are reached.
    pub(crate) fn place<'a>(&'a self, to: &'a Entry) -> Place<'a> {
        Place {
            cluster: &to.cluster,
            label: to.label,
            suffix: &self.context.suffix,
            connect_address: self.context.connect_address.as_deref(),
        }
    }
}
