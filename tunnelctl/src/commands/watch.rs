//! `watch`: follows an own request to its decision, or to its end; of one that ended it is told how.

use std::time::Duration;

use serde_json::json;
use tunnel_certs::statement::outcome::Outcome;
use tunnel_protos::{UnixMillis, v1::RequestState};

use super::operation;
use crate::{
    access::{
        advice, own,
        report::{self, Teller},
    },
    app::App,
    cli::{Until, Watch},
    console::when,
    desk::Desk,
    ending::Ending,
    failure::Failure,
    operate,
    requester::{
        Patience,
        record::Record,
        state_name,
        wait::{Finish, Goal},
    },
};

pub(super) async fn run(app: &mut App, args: &Watch) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let now = app.clock.now();
    let id = desk.requester.folder.named(&args.id)?;
    if own::is_operation(&desk.requester.folder, id) {
        let until = match args.until {
            Some(Until::Decided) => operate::Until::Decided,
            Some(Until::Ended) | None => operate::Until::Over,
        };
        return operation::watch(app, &desk, id, until, args.wait).await;
    }
    let mut record = own::open(&desk.requester.folder, id, now)?;
    app.console.note(format_args!("request {} to {}", record.id, record.cluster));
    app.console.note(format_args!("words   {}", record.words()));
    let until = args.until.unwrap_or(Until::Decided);
    let was_granted = until == Until::Decided && record.is_granted(now);
    let finish = follow(app, &desk, &mut record, (until, was_granted, args.wait)).await?;
    Ok(match finish {
        Finish::Yes(outcome) => yes(app, &record, &outcome),
        Finish::StillWaiting { .. } if was_granted => granted(app, &record),
        other => report::ended(app, &record, &other),
    })
}

/// What was granted may have been revoked since; whether it was, brokers know at once.
async fn follow(
    app: &mut App,
    desk: &Desk,
    record: &mut Record,
    (until, was_granted, wait): (Until, bool, Option<Duration>),
) -> Result<Finish, Failure> {
    let goal = match until {
        Until::Decided => Goal::Grant,
        Until::Ended => Goal::End,
    };
    let time = wait.unwrap_or_else(|| record.expires.since(app.clock.now()));
    let time = if was_granted { time.min(NEWS) } else { time };
    let patience = Patience::new(time, app.interrupt.clone());
    let mut teller = Teller::new(app);
    let mut tell = |news| teller.tell(&news);
    Ok(desk.requester.ask(record, goal, &patience, &mut tell).await?)
}

fn yes(app: &mut App, record: &Record, outcome: &Outcome) -> Ending {
    match outcome.state {
        RequestState::Done => {
            let value = json!({ "event": "done", "id": record.id.to_string() });
            app.console.result(&value, format_args!("done {}", record.id));
            Ending::OK
        }
        _ => granted(app, record),
    }
}

fn granted(app: &mut App, record: &Record) -> Ending {
    let answer = record.answer.as_ref();
    let (state, until) =
        answer.map_or((RequestState::Approved, UnixMillis(0)), |said| (said.state, said.until));
    let value = json!({
        "event": "granted", "id": record.id.to_string(), "state": state_name(state), "untilMs": until.0,
        "methods": answer.map(|said| said.granted.clone()).unwrap_or_default(),
    });
    let word = if state == RequestState::Active { "in use until" } else { "approved; use it until" };
    let until = when::until(until, app.clock.now());
    app.console.result(&value, format_args!("granted {}: {word} {until}", record.id));
    app.console.note(format_args!("  {}", advice::resume(record)));
    Ending::OK
}

/// An answer that a broker holds comes within one round trip.
const NEWS: Duration = Duration::from_secs(5);
