//! Operations: what is planned, run and watched on the customer's side, from what the engine shows.
//!
//! `requests/` decides and tells a [`Desk`] what to plan and what to start; what came of it goes back as [`Word`]s.
//! Invariant: a step is written down before it is called, and none is called again before its effect was looked for.

mod archive;
mod board;
pub mod debug;
mod desk;
mod disk;
mod driver;
mod executor;
mod found;
#[cfg(test)]
pub(crate) mod hands;
mod judge;
mod plan;
mod planner;
mod queue;
mod records;
mod releases;
mod run;
mod runner;
mod service;
mod soak;
#[cfg(test)]
mod testing;
mod turn;

use prost::Message;
use tokio::sync::oneshot;
use tunnel_certs::{
    crypto,
    statement::request::{
        Operation,
        operation::{Size, What},
    },
};
use tunnel_protos::{
    CollectorName, Digest, OperatorName, RequestId, SettingName, TaskName,
    operations::v1::{self, Plan},
    v1::RequestState,
};

pub use self::{
    archive::{Archive, Chunks, Collecting, FetchError, Progress},
    board::Watching,
    desk::{Behind, Desk, Full},
    planner::ReleaseKeys,
    records::LoadError,
    releases::ReleasesError,
    runner::{OpenError, Operations, Parts},
    service::server,
};

#[cfg(test)]
pub(crate) use self::archive::NoArchive;

/// Asks for a plan; the answer comes as [`Word::Planned`].
#[derive(Debug, Clone)]
pub struct Ask {
    /// The request.
    pub id: RequestId,
    /// Of its envelope.
    pub digest: Digest,
    /// What it asks for.
    pub operation: Operation,
}

/// Starts what was approved. One that is known already is not started again, so it may be said twice.
#[derive(Debug, Clone)]
pub struct Order {
    /// The request.
    pub id: RequestId,
    /// Of its envelope.
    pub digest: Digest,
    /// What was approved.
    pub planned: Planned,
    /// What it asks for: planned again if the world has moved on.
    pub operation: Operation,
    /// Who asked.
    pub operator: OperatorName,
}

/// What the rooms of operations tell the clerk; each may come again after a restart.
#[derive(Debug)]
pub enum Word {
    /// What came of an [`Ask`].
    Planned(RequestId, Result<Planned, PlanRefusal>),
    /// The world has moved on before the first step: nothing was done, and this is the plan as it would be now.
    Stale(RequestId, Result<Planned, PlanRefusal>),
    /// It would take its first step now, perhaps after a long wait: may it? Else its end and why, in one sentence.
    Turn {
        /// Whose.
        id: RequestId,
        /// Of the plan that it carries out.
        plan: Digest,
        /// The answer; dropped if there is none now.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Where a run stands now.
    Moved {
        /// Whose.
        id: RequestId,
        /// Of the plan that it carries out: what ends under another plan ends nothing.
        plan: Digest,
        /// Where.
        state: RunState,
        /// Why, in one sentence.
        why: String,
    },
}

/// Where a run stands, once it has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Its first step may have been called.
    Running,
    /// Every step is done and its gate held.
    Succeeded,
    /// It stopped, and what was done stays done.
    Failed,
    /// It stopped, and what was done was taken back.
    RolledBack,
    /// Somebody stopped it; what was done was taken back if the plan says so.
    Cancelled,
    /// Nobody knows whether a step took effect.
    Indeterminate,
}

impl RunState {
    const ALL: [Self; 6] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::RolledBack,
        Self::Cancelled,
        Self::Indeterminate,
    ];

    /// Whether nothing follows.
    pub fn is_over(self) -> bool {
        self != Self::Running
    }

    /// For the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled back",
            Self::Cancelled => "cancelled",
            Self::Indeterminate => "indeterminate",
        }
    }

    /// From a message; none for states of requests that do not run.
    pub fn from_message(message: RequestState) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.to_message() == message)
    }

    /// As messages name it.
    pub fn to_message(self) -> RequestState {
        match self {
            Self::Running => RequestState::Running,
            Self::Succeeded => RequestState::Succeeded,
            Self::Failed => RequestState::Failed,
            Self::RolledBack => RequestState::RolledBack,
            Self::Cancelled => RequestState::Cancelled,
            Self::Indeterminate => RequestState::Indeterminate,
        }
    }
}

/// A plan with the bytes that its digest covers.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plan, encoded; kept and shown, never encoded anew. Empty once it was dropped.
    pub bytes: Vec<u8>,
    /// What they say.
    pub plan: Plan,
    /// What a policy looks at.
    pub facts: Facts,
    digest: [u8; 32],
}

/// Stored bytes that are no plan.
#[derive(Debug, thiserror::Error)]
#[error("not a plan")]
pub struct NoPlan(#[source] prost::DecodeError);

impl Planned {
    /// A new plan for what was asked.
    pub fn new(plan: Plan, operation: &Operation) -> Self {
        Self::of(plan.encode_to_vec(), plan, operation)
    }

    /// A plan as it was kept.
    pub fn read(bytes: Vec<u8>, operation: &Operation) -> Result<Self, NoPlan> {
        let plan = Plan::decode(&bytes[..]).map_err(NoPlan)?;
        Ok(Self::of(bytes, plan, operation))
    }

    fn of(bytes: Vec<u8>, plan: Plan, operation: &Operation) -> Self {
        Self { digest: crypto::sha256(&bytes), facts: Facts::of(operation, &plan), bytes, plan }
    }

    /// What is left of a plan that nobody carries out: which one it was.
    pub fn dropped(digest: [u8; 32], operation: &Operation) -> Self {
        let plan = Plan::default();
        Self { digest, facts: Facts::of(operation, &plan), bytes: Vec::new(), plan }
    }

    /// Whether only its digest is left.
    pub fn is_dropped(&self) -> bool {
        self.bytes.is_empty()
    }

    /// SHA-256 of the bytes: what an approval names.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// What a policy may look at besides the kind of operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// From how many replicas to how many.
    pub replicas: Option<(u32, u32)>,
    /// It changes the resources of replicas, for which no policy gives limits.
    pub resources: bool,
    /// It brings a release that is not above the highest seen.
    pub downgrade: bool,
    /// The settings that it changes.
    pub settings: Vec<SettingName>,
    /// The task that it runs.
    pub task: Option<TaskName>,
    /// The collectors of its bundle.
    pub collectors: Vec<CollectorName>,
}

impl Facts {
    /// Nothing of it is taken from the operator's word alone: expected values are what was found, or there is no plan.
    pub fn of(operation: &Operation, plan: &Plan) -> Self {
        let none = Self::default();
        match &operation.what {
            What::Scale(scale) => match scale.size {
                Size::Replicas { expected, wanted } => Self { replicas: Some((expected, wanted)), ..none },
                Size::Resources { .. } => Self { resources: true, ..none },
            },
            What::Upgrade(_) => {
                Self { downgrade: plan.releases.iter().any(|release| release.downgrade), ..none }
            }
            What::Restart(_) => none,
            What::Configure(configure) => {
                let settings = configure.settings.iter().map(|change| change.name.clone()).collect();
                Self { settings, ..none }
            }
            What::RunTask(run) => Self { task: Some(run.task.clone()), ..none },
            What::CollectDebug(debug) => Self { collectors: debug.collectors.clone(), ..none },
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRefusal {
    /// What refused, for policies' readers: `component`, `expected`, `bounds`, `release` …
    pub rule: String,
    /// One sentence, for the customer.
    pub why: String,
    /// One sentence, for the operator: nobody has approved yet that what was found is shown.
    pub told: String,
}

impl PlanRefusal {
    /// Refused by `rule`, for a reason that says nothing of what was found.
    pub fn new(rule: impl Into<String>, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { rule: rule.into(), told: why.clone(), why }
    }

    /// Refused by `rule` for what was found: `why` names it, `told` does not.
    pub fn found(rule: impl Into<String>, why: impl Into<String>, told: impl Into<String>) -> Self {
        Self { rule: rule.into(), why: why.into(), told: told.into() }
    }
}

/// What the operation's own API asks of whoever decides about requests.
pub trait Office: Clone + Send + Sync + 'static {
    /// The operation as its operator may see it, wherever it stands; none if there is none of this id.
    fn operation(&self, id: &RequestId) -> Option<v1::Operation>;

    /// Where it stands, without a look at the rest of it; none if there is none of this id.
    fn state(&self, id: &RequestId) -> Option<RequestState>;

    /// The operator says that it may begin; one that has begun is left alone.
    fn start(&self, id: RequestId) -> impl Future<Output = Result<(), Refused>> + Send;

    /// The operator stops it before its next step; one that is over is left alone.
    fn cancel(&self, id: RequestId) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// Why an operation did not do as its operator said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none of this id.
    #[error("there is no such operation")]
    Unknown,
    /// Not where it stands; one sentence.
    #[error("{0}")]
    NotNow(String),
    /// Too much waits already, or nobody answers.
    #[error("too much waits already; try again")]
    Busy,
}

/// Whether an object of the store is one of ours, which `requests/` does not read.
pub fn is_record(object: &str) -> bool {
    object.starts_with(RECORDS)
}

/// How the names of our objects in the store begin.
const RECORDS: &str = "operation-";
