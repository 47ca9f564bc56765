//! Operations as their operators and the customer's people see, begin and stop them; the clerk alone decides.

use tunnel_protos::{
    OperatorName, PersonText, RequestId,
    operations::v1::{Bundle, Operation, StepState, StepStatus},
};

use super::{Requests, clerk::Order, record::Record, state::State, word::Word};
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
        self.stop(id, Stopper::Customer(Word { by, note })).await
    }

    async fn stop(&self, id: RequestId, by: Stopper) -> Result<(), CancelError> {
        // In memory first: this works with a full disk and behind a long queue.
        if let Some(record) = self.shared.record(&id) {
            self.stop_run(&record, &by.why());
        }
        let stopped = self.order(|reply| Order::Stop(id, by, reply)).await;
        stopped.unwrap_or_else(|fault| Err(CancelError::NotStored(fault)))
    }

    /// Tells the run of `record`, if it has one, to stop before its next step; nothing is waited for.
    pub(super) fn stop_run(&self, record: &Record, why: &str) {
        if record.operation().is_some() && record.state == State::Running {
            self.shared.desk.cancel(&record.id, why);
        }
    }

    /// An operation with its plan and where it stands; none for requests of other kinds.
    pub(super) fn running(&self, record: &Record) -> Option<Operation> {
        let operation = record.operation()?;
        let run = self.shared.desk.view(&record.id).filter(|_| record.has_run()).unwrap_or_default();
        let planned = operation.planned.as_deref();
        let steps = planned.map(|planned| planned.plan.steps.len()).unwrap_or_default();
        let runs = record.state == State::Running;
        // The word that it is over may be on its way here.
        let over = runs && State::from_message(run.state()).is_some_and(State::is_over_run);
        Some(Operation {
            id: record.id.to_string(),
            state: if over { run.state } else { record.state.to_message().into() },
            summary: if runs && !run.summary.is_empty() { run.summary } else { record.why.clone() },
            plan: planned.filter(|planned| !planned.is_dropped()).map(|planned| planned.plan.clone()),
            plan_digest: planned.map(|planned| planned.digest().to_vec()).unwrap_or_default(),
            steps: if run.steps.len() == steps { run.steps } else { vec![waiting(); steps] },
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

    async fn start(&self, id: RequestId) -> Result<(), Refused> {
        let begun = self.order(|reply| Order::Begin(id, reply)).await;
        begun.unwrap_or(Err(Refused::Busy))
    }

    async fn cancel(&self, id: RequestId) -> Result<(), Refused> {
        let operator = self.shared.record(&id).ok_or(Refused::Unknown)?.operator;
        let stopped = self.stop(id, Stopper::Operator(operator)).await;
        stopped.map_err(|error| match error {
            CancelError::Unknown => Refused::Unknown,
            CancelError::NotNow(_) | CancelError::NotStored(_) => Refused::NotNow(error.to_string()),
        })
    }
}

impl Record {
    /// Whether the runner was ever told of it as it is planned now.
    fn has_run(&self) -> bool {
        self.state == State::Running || self.state.is_over_run()
    }
}

fn waiting() -> StepStatus {
    StepStatus { state: StepState::Waiting.into(), ..StepStatus::default() }
}
