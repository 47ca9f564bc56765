//! Operations as their operators and the customer's people see, begin and stop them; the clerk alone decides.

use tokio::sync::mpsc;
use tunnel_protos::{
    OperatorName, PersonText, RequestId,
    operations::v1::{Bundle, Operation, Plan, StepState, StepStatus},
    v1::RequestState,
};

use super::{
    Requests,
    clerk::{Command, Order, Reply},
    handle::answered,
    record::Record,
    state::State,
    word::Word,
};
use crate::{
    approvers::{CancelError, Who},
    audit::By,
    operations::{Office, Refused},
};

/// Who stops an operation.
#[derive(Debug, Clone)]
pub(super) enum Stopper {
    /// Who asked for it.
    Operator(OperatorName),
    /// The customer's people.
    Customer(Word),
}

impl Stopper {
    /// One sentence.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Operator(operator) => format!("Stopped by its operator {operator}"),
            Self::Customer(word) if word.note.as_str().is_empty() => format!("Stopped by {}", word.by),
            Self::Customer(word) => format!("Stopped by {}: {}", word.by, word.note),
        }
    }

    /// For the audit log, where the gate has recorded the operator's call already.
    pub(super) fn record(&self) -> Option<By> {
        match self {
            Self::Operator(_) => None,
            Self::Customer(word) => Some(word.record()),
        }
    }
}

impl Requests {
    /// Stops an operation: before its first step at once, later before its next one.
    pub async fn cancel_operation(
        &self,
        id: RequestId,
        note: PersonText,
        by: Who,
    ) -> Result<(), CancelError> {
        self.stop(id, Stopper::Customer(Word { by, note }), &self.orders, Order::Stop).await
    }

    async fn stop<C>(
        &self,
        id: RequestId,
        by: Stopper,
        queue: &mpsc::Sender<C>,
        command: impl FnOnce(RequestId, Stopper, Reply<(), CancelError>) -> C,
    ) -> Result<(), CancelError> {
        // In memory first: this works with a full disk and behind a long queue.
        if let Some(record) = self.shared.record(&id) {
            self.stop_run(&record, &by.why());
        }
        let stopped = answered(queue, |reply| command(id, by, reply)).await;
        stopped.unwrap_or_else(|fault| Err(CancelError::NotStored(Box::new(fault))))
    }

    /// Tells the run of `record`, if it has one, to stop before its next step; nothing is waited for.
    pub(super) fn stop_run(&self, record: &Record, why: &str) {
        if record.operation().is_some() && record.state == State::Running {
            self.shared.desk.cancel(&record.id, why);
        }
    }

    /// An operation with its plan and where it stands; none for requests of other kinds.
    pub(super) fn running(&self, record: &Record) -> Option<Operation> {
        let stands = self.stands(record)?;
        let plan = record.plan().cloned();
        let steps = plan.as_ref().map_or(0, |plan| plan.steps.len());
        let steps = if stands.steps.len() == steps { stands.steps } else { vec![waiting(); steps] };
        Some(Operation { plan, steps, ..stands })
    }

    /// As [`Requests::running`], as much as a line of a list shows: the rest of a plan may be large.
    pub(super) fn running_brief(&self, record: &Record) -> Option<Operation> {
        let brief = |plan: &Plan| Plan {
            operation: plan.operation.clone(),
            title: plan.title.clone(),
            risk: plan.risk,
            component: plan.component.clone(),
            ..Plan::default()
        };
        let stands = self.stands(record)?;
        Some(Operation { plan: record.plan().map(brief), steps: Vec::new(), bundle: None, ..stands })
    }

    /// Where an operation stands, without its plan.
    fn stands(&self, record: &Record) -> Option<Operation> {
        let planned = record.operation()?.planned.as_deref();
        let run = self.shared.desk.view(&record.id).filter(|_| record.has_run()).unwrap_or_default();
        let runs = record.state == State::Running;
        Some(Operation {
            id: record.id.to_string(),
            state: record.state_told(run.state()).into(),
            summary: if runs && !run.summary.is_empty() { run.summary } else { record.why.clone() },
            plan_digest: planned.map(|planned| planned.digest().to_vec()).unwrap_or_default(),
            ..run
        })
    }
}

impl Office for Requests {
    fn operation(&self, id: &RequestId) -> Option<Operation> {
        let operation = self.running(&self.shared.record(id)?)?;
        // Sizes and digests would tell what is in it.
        let seen = |bundle: Bundle| if bundle.released { bundle } else { Bundle::default() };
        Some(Operation { bundle: operation.bundle.map(seen), ..operation })
    }

    fn state(&self, id: &RequestId) -> Option<RequestState> {
        let run = self.shared.desk.state(id).unwrap_or_default();
        let book = self.shared.book.read();
        book.get(id).filter(|record| record.operation().is_some()).map(|record| record.state_told(run))
    }

    async fn start(&self, id: RequestId) -> Result<(), Refused> {
        let begun = answered(&self.commands, |reply| Command::Begin(id, reply)).await;
        begun.unwrap_or(Err(Refused::Busy))
    }

    async fn cancel(&self, id: RequestId) -> Result<(), Refused> {
        let operator = self.shared.record(&id).ok_or(Refused::Unknown)?.operator;
        let stopped = self.stop(id, Stopper::Operator(operator), &self.commands, Command::Stop).await;
        // In the operator's words: the error's own are for the customer.
        stopped.map_err(|error| match error {
            CancelError::Unknown => Refused::Unknown,
            CancelError::NotNow(state) if State::from_message(state).is_some_and(State::is_open) => {
                Refused::NotNow(format!("Nothing of it runs; `tunnelctl withdraw {id}` ends it"))
            }
            CancelError::NotNow(_) => Refused::NotNow("It is over already".to_owned()),
            CancelError::NotStored(_) => Refused::NotNow(NOT_KEPT.to_owned()),
        })
    }
}

impl Record {
    /// Whether the runner was ever told of it as it is planned now.
    fn has_run(&self) -> bool {
        self.state == State::Running || self.state.is_over_run()
    }

    /// Its state; that of its `run` if the word that this is over may be on its way here.
    fn state_told(&self, run: RequestState) -> RequestState {
        let over = self.state == State::Running && State::from_message(run).is_some_and(State::is_over_run);
        if over { run } else { self.state.to_message() }
    }

    /// Its plan, unless that was dropped.
    fn plan(&self) -> Option<&Plan> {
        let planned = self.operation()?.planned.as_deref();
        planned.filter(|planned| !planned.is_dropped()).map(|planned| &planned.plan)
    }
}

fn waiting() -> StepStatus {
    StepStatus { state: StepState::Waiting.into(), ..StepStatus::default() }
}

/// Of the customer's disks its operator is told no more.
const NOT_KEPT: &str = "It stops, but the customer's client cannot store that now; say it again later";
