//! How a request ended and what to do next: one table of words, commands and exit codes for every command.

use tunnel_certs::statement::outcome::Outcome;
use tunnel_protos::{operators::Delivery, v1::RequestState};
use tunnel_runtime::{exit::Exit, layout::quoted};

use super::progress::delivered;
use crate::{
    console::safe,
    requester::{
        record::{Record, What, duration},
        state_name,
        wait::Finish,
    },
};

/// An ending as people and scripts are told of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// For scripts.
    pub(crate) event: String,
    /// What happened.
    pub(crate) text: String,
    /// What that means for the one who asked.
    pub(crate) hint: &'static str,
    /// Ready to paste.
    pub(crate) commands: Vec<String>,
    pub(crate) exit: Exit,
}

/// Says how the asking of `record` ended; for a certificate, `record` is its grant.
pub(crate) fn of(record: &Record, finish: &Finish) -> Told {
    match finish {
        Finish::Yes(outcome) => told("done", safe(&outcome.reason), "", vec![], Exit::Ok),
        Finish::Denied(outcome) if record.is_answered_yes() => certificate_denied(record, outcome),
        Finish::Denied(outcome) => denied(record, outcome),
        Finish::Over(outcome) => over(record, outcome.state, &outcome.reason, &outcome.rule),
        Finish::StillWaiting { offline: true } => still_offline(record),
        Finish::StillWaiting { offline: false } => still_waiting(record),
        Finish::Undeliverable(delivery) => undeliverable(record, *delivery),
    }
}

/// Says how a request that is no longer open ended, by what is remembered of it.
pub(crate) fn over(record: &Record, state: RequestState, reason: &str, rule: &str) -> Told {
    let (text, hint, exit) = match state {
        RequestState::Revoked => ("revoked by the customer", REVOKED, Exit::Denied),
        RequestState::Denied => ("denied by the customer", denial(rule), Exit::Denied),
        RequestState::Withdrawn => ("withdrawn by you", "", Exit::Expired),
        RequestState::Ended => ("the grant has ended", "", Exit::Expired),
        state if operation_over(state).is_some() => return operation(record, state, reason),
        _ => ("the request expired before it was used", EXPIRED, Exit::Expired),
    };
    // Only a denial comes from a rule; what was granted by one is ended by people or by time.
    let rule = if state == RequestState::Denied { rule } else { "" };
    // Clients say it in a whole sentence, mostly with these very words.
    let said = reason.to_lowercase().starts_with(text);
    let text = if said { safe(reason) } else { format!("{text}{}", why(reason, rule)) };
    told(&state_name(state), text, hint, vec![again(record)], exit)
}

/// What an operation that is over came to, and how the command ends.
pub(crate) const fn operation_over(state: RequestState) -> Option<(&'static str, Exit)> {
    Some(match state {
        RequestState::Succeeded => ("succeeded", Exit::Ok),
        RequestState::Failed => ("it failed", Exit::Failed),
        RequestState::RolledBack => ("it failed and was rolled back", Exit::Failed),
        RequestState::Cancelled => ("it was cancelled", Exit::Failed),
        RequestState::Indeterminate => ("nobody knows whether it took effect", Exit::Failed),
        _ => return None,
    })
}

/// Says how an operation ended; its own page says more.
pub(crate) fn operation(record: &Record, state: RequestState, reason: &str) -> Told {
    let (text, exit) = operation_over(state).unwrap_or(("it goes on", Exit::Waiting));
    let text = format!("{text}{}", why(reason, ""));
    let hint = if state == RequestState::Indeterminate { INDETERMINATE } else { "" };
    let mut commands = vec![plan(record)];
    if state != RequestState::Succeeded {
        commands.push(again(record));
    }
    told(&state_name(state), text, hint, commands, exit)
}

/// Says that the waiting ended, not what runs.
pub(crate) fn goes_on(record: &Record) -> Told {
    let text = "the operation goes on; nobody watches it here".to_owned();
    told("running", text, "", vec![resume(record), cancel(record)], Exit::Waiting)
}

/// Says that a withdraw found nothing to end, which is as good as having ended it.
pub(crate) fn nothing_to_withdraw(outcome: &Outcome) -> Told {
    let text = format!("nothing to withdraw{}", why(&outcome.reason, ""));
    told("over", text, "", vec![], Exit::Expired)
}

fn denied(record: &Record, outcome: &Outcome) -> Told {
    let text = format!("denied by the customer{}", why(&outcome.reason, &outcome.rule));
    if record.what == What::Access && names_no_target(outcome) {
        let show = format!("tunnelctl cluster show {}", record.cluster);
        return told("denied", text, NO_TARGET, vec![show], Exit::Denied);
    }
    let asks_people = matches!(record.what, What::Access | What::Operation);
    let commands = if asks_people { vec![again(record)] } else { vec![] };
    let hint = if commands.is_empty() { "" } else { denial(&outcome.rule) };
    told("denied", text, hint, commands, Exit::Denied)
}

/// A person's no can be talked about; a rule's stands until the rule is changed.
const fn denial(rule: &str) -> &'static str {
    if rule.is_empty() { DENIED } else { DENIED_BY_RULE }
}

fn certificate_denied(record: &Record, outcome: &Outcome) -> Told {
    let why = why(&outcome.reason, &outcome.rule);
    let text = format!("the customer gives no certificate under this grant{why}");
    told("denied", text, NO_CERTIFICATE, vec![resume(record)], Exit::Denied)
}

fn still_waiting(record: &Record) -> Told {
    let text = format!("no answer yet; the request stays open until {}", record.ends());
    told("waiting", text, WAITING, vec![resume(record), withdraw(record)], Exit::Waiting)
}

fn still_offline(record: &Record) -> Told {
    let text = format!(
        "broker says: the cluster is offline; the request waits in its mailbox until {}",
        record.expires
    );
    let show = format!("tunnelctl cluster show {}", record.cluster);
    told("offline", text, OFFLINE, vec![show, resume(record), withdraw(record)], Exit::Offline)
}

fn undeliverable(record: &Record, delivery: Delivery) -> Told {
    let exit = if delivery == Delivery::Lapsed { Exit::Offline } else { Exit::Failed };
    let text = format!("broker says: {}", delivered(delivery));
    told("undeliverable", text, "", vec![again(record)], exit)
}

fn told(event: &str, text: String, hint: &'static str, commands: Vec<String>, exit: Exit) -> Told {
    Told { event: event.into(), text, hint, commands, exit }
}

/// The command that asks the same again.
pub(crate) fn again(record: &Record) -> String {
    let reason = quoted(&safe(&record.reason));
    match &record.operation {
        Some(asked) => {
            let (command, words) = (safe(&asked.command), safe(&asked.words));
            format!("tunnelctl request {command} {} {words} --reason {reason}", record.cluster)
        }
        None => access_again(record),
    }
}

fn access_again(record: &Record) -> String {
    let mut words = vec![format!("tunnelctl connect {}", record.cluster)];
    words.extend(record.methods.iter().map(|method| format!("--method {}", quoted(&safe(method)))));
    let targets = record.targets.iter().filter(|target| *target != "default");
    words.extend(targets.map(|target| format!("--target {}", quoted(&safe(target)))));
    if record.raw {
        words.push("--raw".into());
    }
    if !record.wanted.is_zero() {
        words.push(format!("--for {}", duration(record.wanted)));
    }
    words.push(format!("--reason {}", quoted(&safe(&record.reason))));
    words.join(" ")
}

/// The command that goes on with it.
pub(crate) fn resume(record: &Record) -> String {
    match record.what {
        What::Operation => format!("tunnelctl watch {}", record.id),
        _ => format!("tunnelctl connect {} --resume {}", record.cluster, record.id),
    }
}

fn plan(record: &Record) -> String {
    format!("tunnelctl plan {}", record.id)
}

fn cancel(record: &Record) -> String {
    format!("tunnelctl cancel {}", record.id)
}

fn withdraw(record: &Record) -> String {
    format!("tunnelctl withdraw {}", record.id)
}

/// Asking the same again cannot help: clusters say so with these very words.
fn names_no_target(outcome: &Outcome) -> bool {
    outcome.rule == "targets" || outcome.reason.starts_with("There is no target ")
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

const DENIED: &str = "A denial is final. Talk to the customer first: the same ask again needs a person there and is shown to \
                      them as denied before. Then ask for what they agree to:";
const DENIED_BY_RULE: &str = "No person was asked: the same ask gets the same answer until the customer changes that rule. Talk to \
                              them, or ask for less:";
const NO_TARGET: &str =
    "Ask for a target that the cluster has (--target NAME); the broker says which those are:";
const REVOKED: &str = "Every session was cut. Ask the customer why before you ask again:";
const INDETERMINATE: &str =
    "Look at the engine, together with the customer, before you ask for anything else:";
const EXPIRED: &str = "Ask again, and tell the customer that you wait:";
const NO_CERTIFICATE: &str = "The grant itself may go on: if the customer has paused access, or changed the policy, ask them; \
                              when they have resumed, go on with:";
const WAITING: &str = "Read the words above to the customer. Go on waiting, or take the request back:";
const OFFLINE: &str = "The cluster dials out to the broker by itself: ask the customer whether tunnel-client runs. See, go on \
                       waiting, or take the request back:";

#[cfg(test)]
mod tests;
