//! What the person, or the script, learns while access is being got. Broker's statements are labeled as such.

use serde_json::json;
use tunnel_protos::{UnixMillis, operators::Delivery, v1::RequestState};
use tunnel_runtime::exit::Exit;

use crate::{
    app::App,
    console::{Console, Format, safe, when},
    ending::Ending,
    requester::{
        record::Record,
        state_name,
        wait::{Finish, News},
    },
};

/// The words come before anything else: the customer's side sees the same ones.
pub(crate) fn submitted(app: &mut App, record: &Record) {
    if app.console.format() == Format::Json {
        let event = json!({
            "event": "submitted", "id": record.id.to_string(), "cluster": record.cluster.to_string(),
            "words": record.words().to_string(), "expiresMs": record.expires.0,
        });
        app.console.json(&event);
    }
    app.console.note(format_args!("request {} to {}", record.id, record.cluster));
    app.console.note(format_args!("words   {}", record.words()));
}

/// What is new while waiting.
pub(crate) fn news(console: &mut Console, news: &News, now: UnixMillis) {
    match news {
        News::BrokerSays(delivery) => console.progress(format_args!("broker says: {}", delivered(*delivery))),
        News::Reconnecting(problem) => console.progress(format_args!("{}; trying again", safe(problem))),
        News::Ignored(problem) => {
            console.warn(format_args!("the broker delivered {}; it is ignored", safe(problem)));
        }
        News::Pending { had, needed, asked, until, reason } => {
            let asked: Vec<_> = asked.iter().map(|who| safe(who)).collect();
            let asked = if asked.is_empty() { "approvers".into() } else { asked.join(", ") };
            let until = when::until(*until, now);
            console.progress(format_args!("waiting for {asked}: {had} of {needed} approvals, until {until}"));
            if !reason.is_empty() {
                console.progress(format_args!("cluster says: {}", safe(reason)));
            }
        }
    }
}

/// Says how a request ended that gave no certificate.
pub(crate) fn ended(app: &mut App, record: &Record, finish: &Finish) -> Ending {
    let (event, text, exit) = describe(record, finish);
    if app.console.format() == Format::Json {
        let event = json!({ "event": event, "id": record.id.to_string(), "message": text });
        app.console.json(&event);
    }
    app.console.error(text);
    exit.into()
}

fn describe(record: &Record, finish: &Finish) -> (String, String, Exit) {
    match finish {
        Finish::Yes(outcome) => ("done".into(), safe(&outcome.reason), Exit::Ok),
        Finish::Denied(outcome) => (
            "denied".into(),
            format!("denied by the customer{}", why(&outcome.reason, &outcome.rule)),
            Exit::Denied,
        ),
        Finish::Over(outcome) => {
            let state = state_name(outcome.state);
            let text = format!("the request is over ({state}){}", why(&outcome.reason, &outcome.rule));
            let exit = if outcome.state == RequestState::Revoked { Exit::Denied } else { Exit::Expired };
            (state, text, exit)
        }
        Finish::StillWaiting { offline } => still_waiting(record, *offline),
        Finish::Undeliverable(delivery) => undeliverable(*delivery),
    }
}

fn still_waiting(record: &Record, offline: bool) -> (String, String, Exit) {
    let id = record.id;
    let go_on = format!(
        "the request stays open until {}; go on with `tunnelctl connect {} --resume {id}` or end it with `tunnelctl withdraw {id}`",
        when::stamp(record.expires),
        record.cluster
    );
    if offline {
        ("offline".into(), format!("broker says: the cluster is offline; {go_on}"), Exit::Offline)
    } else {
        ("waiting".into(), format!("no answer yet; {go_on}"), Exit::Waiting)
    }
}

fn undeliverable(delivery: Delivery) -> (String, String, Exit) {
    let exit = if delivery == Delivery::Lapsed { Exit::Offline } else { Exit::Failed };
    ("undeliverable".into(), format!("broker says: {}", delivered(delivery)), exit)
}

fn delivered(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Unspecified => "nothing",
        Delivery::Waiting => "the cluster is offline; the request waits in its mailbox",
        Delivery::Sent => "sent to the cluster",
        Delivery::Taken => "the cluster took the request",
        Delivery::Unproven => {
            "the cluster could not open or prove the request; is your certificate from the current operator CA?"
        }
        Delivery::UnknownKey => {
            "the cluster has another sealing key; ask again, with its newest inventory entry"
        }
        Delivery::Full => "the cluster takes no more requests now; it will be tried again",
        Delivery::Lapsed => "the cluster was offline for too long, the request was dropped; ask again",
    }
}

/// The cluster's own words, as far as its policy discloses them.
fn why(reason: &str, rule: &str) -> String {
    let mut text = String::new();
    if !reason.is_empty() {
        text += &format!(": {}", safe(reason));
    }
    if !rule.is_empty() {
        text += &format!(" (rule: {})", safe(rule));
    }
    text
}

#[cfg(test)]
mod tests;
