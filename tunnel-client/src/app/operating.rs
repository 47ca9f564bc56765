//! Requests and operations, joined with each other and with the store, the trust and the policy that they go by.

use std::sync::Arc;

use tunnel_runtime::grpc::GrpcServer;

use super::{BuildError, build::Files};
use crate::{
    audit::Audit,
    clock,
    config::Config,
    enrollment::Entries,
    gate::grants::{self, GrantsView},
    operations::{
        self, Desk, Operations, Parts, ReleaseKeys,
        debug::{Keeper, Release},
    },
    policy::{Approval, PolicyState},
    requests::{self, Clerk, Requests},
    store::sqlite::SqliteStore,
};

/// The way of a request, from its delivery to the end of what it asked for.
pub(super) struct Pipeline {
    pub(super) requests: Requests,
    pub(super) clerk: Clerk<Arc<SqliteStore>>,
    pub(super) view: GrantsView,
    pub(super) runner: Operations<SqliteStore>,
    pub(super) bundles: Keeper,
    pub(super) operations: GrpcServer,
}

impl Files {
    pub(super) async fn pipeline(
        &self,
        config: &Config,
        entries: &Entries,
        policy: &PolicyState,
        audit: &Audit,
    ) -> Result<Pipeline, BuildError> {
        let store = store(config, audit).await?;
        let bundles = bundles(config, policy, audit)?;
        let (desk, words, behind) = Desk::new(Arc::new(bundles.clone()));
        let (writer, view) = grants::channel();
        let settings = requests::Settings {
            room: self.room(entries),
            store: Arc::clone(&store),
            wall: clock::SystemWall,
            policy: policy.policy.clone(),
            grants: writer,
            view: view.clone(),
            audit: audit.clone(),
            desk: desk.clone(),
            words,
        };
        let opened = Requests::open(settings).await;
        let opened = opened.map_err(|error| BuildError::Requests(config.state_dir.clone(), error));
        let (requests, clerk) = opened?;
        // After the requests, which start the store.
        let parts = self.parts(config, store, &requests, audit);
        let runner = Operations::open(behind, parts).await.map_err(BuildError::Operations)?;
        let operations = operations::server(requests.clone(), desk, Arc::new(bundles.clone()));
        Ok(Pipeline { requests, clerk, view, runner, bundles, operations })
    }

    fn parts(
        &self,
        config: &Config,
        store: Arc<SqliteStore>,
        requests: &Requests,
        audit: &Audit,
    ) -> Parts<SqliteStore> {
        let belief = self.trust.belief();
        let keys = move || {
            let bundle = &belief.borrow().bundle;
            (bundle.release_keys.clone(), bundle.release_threshold)
        };
        Parts {
            history: requests.history(),
            folder: config.state_dir.clone(),
            engine: self.engine.engine.clone(),
            keys: ReleaseKeys::new(keys),
            clock: requests.clock(),
            paused: requests.paused(),
            audit: audit.clone(),
            store,
        }
    }
}

/// The store that requests and operations share.
async fn store(config: &Config, audit: &Audit) -> Result<Arc<SqliteStore>, BuildError> {
    let store = SqliteStore::open(&config.state_dir).await;
    let store = store.map_err(|error| BuildError::Store(config.state_dir.clone(), error))?;
    Ok(Arc::new(store.beside(audit.clone())))
}

/// The debug bundles that lie here; today's policy says whether they may leave.
fn bundles(config: &Config, policy: &PolicyState, audit: &Audit) -> Result<Keeper, BuildError> {
    let policy = policy.policy.clone();
    let release = move || match policy.borrow().operations().collect_debug.release {
        Approval::Auto => Release::Auto,
        Approval::Manual => Release::Manual,
        Approval::Deny => Release::Never,
    };
    Keeper::open(&config.state_dir.join(BUNDLES), release, audit.clone()).map_err(BuildError::Bundles)
}

/// In the state's folder.
const BUNDLES: &str = "bundles";
