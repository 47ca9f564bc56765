//! Plans what is asked: looks at the engine, then lets the pure part decide. Bounded in number and in time.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tunnel_certs::{
    key::PublicKey,
    statement::{release, request::Operation},
};
use tunnel_protos::Digest;

use super::{
    Ask, PlanRefusal, Planned, Word,
    executor::Executor,
    plan::{self, Ground},
    releases::Releases,
};
use crate::{clock::Clock, engine::Engine};

/// The vendor's release keys in force, and how many of them sign a release.
#[derive(Clone)]
pub struct ReleaseKeys(Arc<dyn Fn() -> (Vec<PublicKey>, u32) + Send + Sync>);

impl ReleaseKeys {
    /// Asked whenever a release is opened.
    pub fn new(keys: impl Fn() -> (Vec<PublicKey>, u32) + Send + Sync + 'static) -> Self {
        Self(Arc::new(keys))
    }
}

impl fmt::Debug for ReleaseKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleaseKeys({})", (self.0)().0.len())
    }
}

/// Makes plans; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Planner<E> {
    pub(super) engine: watch::Receiver<Engine>,
    pub(super) executor: E,
    pub(super) releases: Releases,
    pub(super) keys: ReleaseKeys,
    pub(super) clock: Clock,
}

impl<E: Executor> Planner<E> {
    /// Answers what is asked until nobody asks any more.
    pub(super) async fn run(self, asks: mpsc::Receiver<Ask>, words: mpsc::Sender<Word>) {
        let answer = |ask: Ask| {
            let (planner, words) = (self.clone(), words.clone());
            async move {
                let planned = planner.plan(ask.digest, &ask.operation).await;
                // The clerk is gone: it asks again after a restart.
                let _ = words.send(Word::Planned(ask.id, planned)).await;
            }
        };
        ReceiverStream::new(asks).for_each_concurrent(AT_A_TIME, answer).await;
    }

    /// The plan as it is now, or why there is none.
    pub(super) async fn plan(&self, digest: Digest, operation: &Operation) -> Result<Planned, PlanRefusal> {
        let late = || {
            PlanRefusal::new(ENGINE, format!("No plan within {} s: the engine is slow", DEADLINE.as_secs()))
        };
        timeout(DEADLINE, self.make(digest, operation)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn make(&self, digest: Digest, operation: &Operation) -> Result<Planned, PlanRefusal> {
        let engine = self.engine.borrow().clone();
        let profile = engine.profile();
        let components = plan::components(profile, &operation.what)?;
        let names: Vec<_> = components.iter().map(ToString::to_string).collect();
        let found = match names.is_empty() {
            true => Default::default(),
            false => self.executor.look(&names).await.map_err(|why| PlanRefusal::new(ENGINE, why))?,
        };
        let ((keys, threshold), now) = ((self.keys.0)(), self.clock.now());
        let open = |bytes: &[u8]| release::open(bytes, &keys, threshold, now);
        let known = self.releases.known();
        let ground = Ground { profile, found: &found, known: &known, digest, now };
        let plan = plan::make(ground, &operation.what, &open)?;
        Ok(Planned::new(plan, operation))
    }
}

/// The rule of refusals that another moment may not bring.
pub(super) const ENGINE: &str = "engine";
/// Looks at the engine at the same time.
const AT_A_TIME: usize = 4;
/// A person waits for it.
const DEADLINE: Duration = Duration::from_secs(30);
