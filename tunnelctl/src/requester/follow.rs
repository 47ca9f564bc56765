//! Asking: a kept request goes out, and its answers are kept as they come, until one ends the waiting.

use tunnel_certs::statement::outcome::Outcome;
use tunnel_protos::{UnixMillis, v1::RequestState};

use super::{
    Error, Requester,
    events::Events,
    patience::Patience,
    reader::Newest,
    record::{Answer, Record},
    wait::{Finish, Goal, News, Step, Wait},
};

/// Who is told the news while waiting.
pub type Tell<'t> = &'t mut (dyn FnMut(News) + Send);

impl Requester {
    /// Puts a kept request into the cluster's mailbox and waits for its answer, which is kept too.
    pub async fn ask(
        &self,
        record: &mut Record,
        goal: Goal,
        patience: &Patience,
        tell: Tell<'_>,
    ) -> Result<Finish, Error> {
        let reader = self.folder.reader(record).map_err(Error::Record)?;
        let sealed = self.folder.sealed(record.id).map_err(Error::Record)?;
        let mut events = Events::new(self.api.clone(), record.envelope_id, sealed, reader);
        let mut wait = Wait::new(goal);
        loop {
            let event = match patience.during(events.next()).await {
                Ok(event) => event.map_err(Error::Broker)?,
                Err(over) => over,
            };
            if let (super::wait::Event::Outcome(outcome), Some(newest)) = (&event, events.newest()) {
                self.keep(record, outcome, newest)?;
            }
            match wait.on(event) {
                Step::Wait => {}
                Step::Say(news) => tell(news),
                Step::Resubmit => events.submit(),
                Step::Finish(finish) => return Ok(*finish),
            }
        }
    }

    /// A request that ended is forgotten with its key; any other answer is remembered.
    fn keep(&self, record: &mut Record, outcome: &Outcome, newest: Newest) -> Result<(), Error> {
        record.answer = Some(Answer::new(outcome, newest));
        let over = Answer::is_final(outcome.state);
        let kept = if over { self.folder.remove(record.id) } else { self.folder.update(record) };
        kept.map_err(Error::Record)
    }
}

impl Answer {
    fn new(outcome: &Outcome, newest: Newest) -> Self {
        let methods = outcome.granted.iter().flat_map(|granted| &granted.methods);
        Self {
            newest,
            state: outcome.state,
            until: deadline(outcome),
            granted: methods.map(|(method, _)| method.to_string()).collect(),
            live: true,
        }
    }

    /// Whether nothing can follow.
    const fn is_final(state: RequestState) -> bool {
        !matches!(
            state,
            RequestState::Unspecified
                | RequestState::Pending
                | RequestState::Approved
                | RequestState::Active
                | RequestState::Running
        )
    }
}

/// When the state ends by itself; 0 where it does not.
fn deadline(outcome: &Outcome) -> UnixMillis {
    UnixMillis(match outcome.state {
        RequestState::Pending => outcome.deadlines.pending_until_ms,
        RequestState::Approved => outcome.deadlines.claim_until_ms,
        _ => outcome.deadlines.work_until_ms,
    })
}

/// `pending`, `rolled_back` …
pub fn state_name(state: RequestState) -> String {
    state.as_str_name().trim_start_matches("REQUEST_STATE_").to_ascii_lowercase()
}
