//! Following an operation to its end: step by step through its session, which is opened again when it breaks, and by the
//! cluster's signed outcomes, which still come when no session can.

use std::time::Duration;

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tunnel_protos::operations::{
    request_state, step_state,
    v1::{Event, Operation},
};

use super::{
    door::{Door, Error},
    view::View,
};
use crate::{
    access::{
        Gaining,
        advice::{self, Told},
        keep::ending,
    },
    console::{Format, safe},
    desk::Desk,
    failure::Failure,
    requester::{is_over, record::Record},
};

/// What following came to.
pub(crate) enum Followed {
    /// The operation is over, and this is all of it.
    Over(Box<Operation>),
    /// It is over by the cluster's signed word; nobody could look at it any more.
    Told(Box<Told>),
    /// The person stops watching, or has waited long enough; it goes on.
    Leaving,
}

/// Follows an operation until it is over, however often its session breaks.
pub(crate) async fn follow(
    gaining: &mut Gaining<'_>,
    record: &Record,
    door: &mut Door,
    operation: Operation,
) -> Result<Followed, Failure> {
    let desk = gaining.desk;
    if is_over(operation.state()) {
        close(desk, record, &operation)?;
        return Ok(Followed::Over(Box::new(operation)));
    }
    let mut patience = gaining.patience(LONGEST);
    let mailbox = ending(&desk.requester, record.clone());
    tokio::pin!(mailbox);
    let mut following =
        Following { gaining: &mut *gaining, record, view: View::new(operation), pause: FIRST_PAUSE };
    let (mut told, mut is_unheard) = (None, false);
    let followed = loop {
        let looking = patience.during(following.go_on(door));
        tokio::select! {
            looked = looking => break match (looked, told) {
                (Ok(over), told) => {
                    is_unheard = told.is_none();
                    Followed::Over(Box::new(over?))
                }
                (Err(_), Some(told)) => Followed::Told(Box::new(told)),
                (Err(_), None) => Followed::Leaving,
            },
            // The session says more than the outcome does, so it has a moment to say it.
            said = &mut mailbox, if told.is_none() => {
                told = Some(said);
                patience = patience.at_most(LAST_WORDS);
            }
        }
    };
    gaining.app.console.settle();
    if let (Followed::Over(operation), true) = (&followed, is_unheard)
        && timeout(LAST_WORDS, &mut mailbox).await.is_err()
    {
        close(desk, record, operation)?;
    }
    Ok(followed)
}

/// A broker that is away must not hold up the person: what the session said is remembered, for it came end to end.
fn close(desk: &Desk, record: &Record, operation: &Operation) -> Result<(), Failure> {
    let Ok(mut newest) = desk.requester.folder.record(record.id) else { return Ok(()) };
    if let Some(answer) = &mut newest.answer {
        answer.state = operation.state();
        answer.reason.clone_from(&operation.summary);
    }
    Ok(desk.requester.folder.close(&newest)?)
}

struct Following<'g, 'a> {
    gaining: &'g mut Gaining<'a>,
    record: &'g Record,
    view: View,
    /// What comes before the next attempt: soon at first, then every few seconds, for people look.
    pause: Duration,
}

impl Following<'_, '_> {
    /// Looks until it is over; what breaks is tried again.
    async fn go_on(&mut self, door: &mut Door) -> Result<Operation, Failure> {
        loop {
            let error = match self.look(door).await {
                Ok(operation) => return Ok(operation),
                Err(error) if error.may_pass() => error,
                Err(error) => return Err(error.into()),
            };
            self.trouble(&error);
            sleep(self.pause).await;
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
            if error.is_unauthenticated() {
                self.reopen(door).await;
            }
        }
    }

    /// One stream of events, to its end.
    async fn look(&mut self, door: &mut Door) -> Result<Operation, Error> {
        let mut events = door.watch(self.view.last_event()).await?;
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !is_over(self.view.state()) {
            tokio::select! {
                event = events.message() => match event? {
                    Some(event) => self.on(&event),
                    None => break,
                },
                _ = seconds.tick() => self.draw(),
            }
        }
        let operation = door.get().await?;
        self.pause = FIRST_PAUSE;
        if is_over(operation.state()) {
            return Ok(operation);
        }
        // Events that were lost are in it.
        self.view.replace(operation);
        Err(tonic::Status::unavailable("the operation's events broke off").into())
    }

    /// After its certificate has ended; what the customer refuses is not asked for again and again.
    async fn reopen(&mut self, door: &mut Door) {
        let problem = match door.again(self.gaining, self.record).await {
            Ok(Ok(operation)) => return self.view.replace(operation),
            Ok(Err(finish)) => {
                self.pause = REFUSED;
                advice::of(self.record, &finish).text
            }
            Err(failure) => safe(&tunnel_runtime::chain::chain(&failure).to_string()),
        };
        self.gaining.app.console.once(&format!("nobody can look at it now: {problem}"));
    }

    fn on(&mut self, event: &Event) {
        let is_new = self.view.on(event);
        if !is_new {
            return;
        }
        let console = &mut self.gaining.app.console;
        if console.format() == Format::Json {
            console.json(&value(event));
        } else if !console.is_watched() {
            console.note(self.view.line(event));
        }
        self.draw();
    }

    fn draw(&mut self) {
        let now = self.gaining.app.clock.now();
        self.gaining.app.console.live_lines(&self.view.lines(now));
    }

    fn trouble(&mut self, error: &Error) {
        self.gaining.app.console.once(&format!("trying again: {error}"));
    }
}

fn value(event: &Event) -> serde_json::Value {
    let status = event.status.clone().unwrap_or_default();
    json!({
        "event": "progress", "number": event.number, "timeMs": event.time_ms, "state": request_state(event.state()),
        "step": event.step, "stepState": step_state(status.state()), "done": status.done, "total": status.total,
        "text": if event.text.is_empty() { &status.text } else { &event.text },
    })
}

const SECOND: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Once the customer gives no certificate any more: its word of the end comes by the mailbox, and each asking is stored.
const REFUSED: Duration = Duration::from_secs(60);
/// Longer than any operation.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Between the end in the mailbox and the end in the session.
const LAST_WORDS: Duration = Duration::from_secs(2);
