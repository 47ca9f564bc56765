//! An operation in work: looked at, started, followed and stopped through its own session, end to end.
//!
//! Invariant: what is shown of an operation came through its session or was signed by the cluster key; nothing that a
//! broker says moves it.

use std::{ops::ControlFlow, time::Duration};

use serde_json::json;
use tunnel_protos::{
    operations::{self, Paint, v1::Operation},
    v1::RequestState,
};
use tunnel_runtime::exit::Exit;

use crate::{
    access::{Gaining, Step, advice, go_on, report},
    app::App,
    console::{Format, safe},
    ending::Ending,
    failure::Failure,
    requester::{record::Record, state_name},
};

pub(crate) mod door;
mod follow;
mod view;

pub(crate) use self::{
    door::{Door, Error},
    follow::{Followed, follow},
};

/// How far to go with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The customer has decided.
    Decided,
    /// Nothing can follow.
    Over,
}

/// From the request, through the customer's decision, to its end.
pub(crate) async fn through(
    gaining: &mut Gaining<'_>,
    record: Record,
    until: Until,
) -> Result<Ending, Failure> {
    let (record, mut door, operation) = match enter(gaining, record).await? {
        ControlFlow::Continue(entered) => entered,
        ControlFlow::Break(ending) => return Ok(ending),
    };
    let is_planned_only = record.operation.as_ref().is_some_and(|asked| asked.dry_run);
    let waits_for_start = operation.state() == RequestState::Approved
        && record.operation.as_ref().is_some_and(|asked| asked.on_call);
    if is_planned_only || waits_for_start || until == Until::Decided {
        show(gaining.app, &operation);
        if waits_for_start {
            gaining
                .app
                .console
                .note(format_args!("approved; it begins with:\n  tunnelctl start {}", record.id));
        }
        return Ok(Ending::OK);
    }
    let followed = follow(gaining, &record, &mut door, operation).await?;
    Ok(finish(gaining.app, &record, followed))
}

/// The operation of a request, as soon as the customer has said yes.
pub(crate) async fn enter(
    gaining: &mut Gaining<'_>,
    record: Record,
) -> Result<Step<(Record, Door, Operation)>, Failure> {
    let left = record.expires.since(gaining.app.clock.now());
    enter_within(gaining, record, left).await
}

/// The same, if the customer says yes within `decision`; what follows has its own time.
pub(crate) async fn enter_within(
    gaining: &mut Gaining<'_>,
    record: Record,
    decision: Duration,
) -> Result<Step<(Record, Door, Operation)>, Failure> {
    let record = match record.is_answered_yes() {
        true => record,
        false => go_on!(gaining.decided_within(record, decision).await?),
    };
    let opened = Door::open(gaining, &record).await?;
    Ok(match opened {
        Ok((door, operation)) => Step::Continue((record, door, operation)),
        Err(finish) => Step::Break(report::ended(gaining.app, &record, &finish)),
    })
}

/// The plan, and where it stands.
pub(crate) fn show(app: &mut App, operation: &Operation) {
    if app.console.format() == Format::Json {
        let mut value = operations::operation_json(operation);
        value["event"] = json!("operation");
        app.console.json(&value);
        return;
    }
    let paint = if app.console.is_painted() { Paint::Colors } else { Paint::Plain };
    let plan = match &operation.plan {
        Some(plan) => operations::plan_text(plan, paint),
        None => "no plan yet\n".into(),
    };
    let state = state_name(operation.state());
    let more =
        if operation.summary.is_empty() { String::new() } else { format!(": {}", safe(&operation.summary)) };
    app.console.print(format_args!("{plan}\nState: {state}{more}"));
}

/// Says how it ended, or that it goes on.
pub(crate) fn finish(app: &mut App, record: &Record, followed: Followed) -> Ending {
    match followed {
        Followed::Over(operation) => over(app, record, &operation),
        Followed::Told(told) => report::say(app, record, *told),
        Followed::Leaving => report::say(app, record, advice::goes_on(record)),
    }
}

fn over(app: &mut App, record: &Record, operation: &Operation) -> Ending {
    let state = operation.state();
    if app.console.format() == Format::Json {
        let mut value = operations::operation_json(operation);
        value["event"] = json!("operation");
        app.console.json(&value);
    }
    if advice::operation_over(state).is_none_or(|(_, exit)| exit != Exit::Ok) {
        return report::say(app, record, advice::operation(record, state, &operation.summary));
    }
    if app.console.format() == Format::Text {
        let more = if operation.summary.is_empty() {
            String::new()
        } else {
            format!(": {}", safe(&operation.summary))
        };
        app.console.print(format_args!("{}{more}", state_name(state)));
    }
    if operation.bundle.is_some() {
        app.console.note(format_args!("  tunnelctl bundle get {}", record.id));
    }
    Ending::OK
}
