//! Asking: a kept request goes out, and its answers are kept as they come, until one ends the waiting.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tunnel_certs::statement::outcome::Outcome;
use tunnel_protos::{UnixMillis, operators::Delivery, text::spoken, v1::RequestState};

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
            // On the heap: a connection's future is large, and every command would hold it some ten calls deep.
            let event = match Box::pin(ticking(patience.during(events.next()), tell)).await {
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

    /// Puts a kept request into the cluster's mailbox and waits for nothing.
    pub async fn submit(&self, record: &Record) -> Result<Delivery, Error> {
        let sealed = self.folder.sealed(record.id).map_err(Error::Record)?;
        self.api.submit(sealed).await.map_err(Error::Broker)
    }

    /// A request that ended loses its key; any other answer is remembered.
    fn keep(&self, record: &mut Record, outcome: &Outcome, newest: Newest) -> Result<(), Error> {
        record.answer = Some(Answer::new(outcome, newest));
        let over = is_over(outcome.state);
        let kept = if over { self.folder.close(record) } else { self.folder.update(record) };
        kept.map_err(Error::Record)
    }
}

/// Tells of every second that `work` takes.
async fn ticking<T>(work: impl Future<Output = T>, tell: Tell<'_>) -> T {
    let mut seconds = interval_at(Instant::now() + SECOND, SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = seconds.tick() => tell(News::Tick),
        }
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
            at: outcome.time,
            reason: outcome.reason.clone(),
            rule: outcome.rule.clone(),
            deadlines: outcome.deadlines,
        }
    }
}

/// Whether nothing can follow.
pub const fn is_over(state: RequestState) -> bool {
    !matches!(
        state,
        RequestState::Unspecified
            | RequestState::Pending
            | RequestState::Approved
            | RequestState::Active
            | RequestState::Running
    )
}

/// When the state ends by itself; 0 where it does not.
fn deadline(outcome: &Outcome) -> UnixMillis {
    UnixMillis(match outcome.state {
        RequestState::Pending => outcome.deadlines.pending_until_ms,
        RequestState::Approved => outcome.deadlines.claim_until_ms,
        // An operation may be over before anybody looked at it.
        _ if outcome.deadlines.work_until_ms == 0 => outcome.deadlines.claim_until_ms,
        _ => outcome.deadlines.work_until_ms,
    })
}

/// `pending`, `rolled-back` …
pub fn state_name(state: RequestState) -> String {
    spoken(state.as_str_name(), "REQUEST_STATE_")
}

/// What a person takes for alive.
const SECOND: Duration = Duration::from_secs(1);
