//! From what was handed over to the line it becomes.

use std::collections::BTreeMap;

use serde::Serialize;
use tunnel_protos::UnixMillis;

use crate::audit::{
    Outcome,
    line::Chain,
    own::{About, Open, Own},
    queue::{Asker, Body, Item},
};

/// Puts the line of `item` into `out`; `open` are the intents that wait for an outcome.
pub(super) fn append(out: &mut Vec<u8>, chain: &mut Chain, item: &Item, open: &BTreeMap<u64, About>) {
    match &item.body {
        Body::Event(event) => line(out, chain, item.time, event),
        Body::Own(own) => line(out, chain, item.time, own),
        Body::Outcome(of, outcome) => {
            let about = open.get(of).cloned().unwrap_or_else(|| About::Read(serde_json::Map::new()));
            line(out, chain, item.time, &ended(Open { of: *of, about }, *outcome));
        }
    }
}

fn line(out: &mut Vec<u8>, chain: &mut Chain, time: UnixMillis, body: &impl Serialize) {
    chain.append(out, time, body).expect("a record of plain fields becomes JSON in memory");
}

fn ended(open: Open, outcome: Outcome) -> Own {
    match outcome {
        Outcome::Moved if matches!(open.about, About::Step { .. }) => Own::StepEnded { open, done: true },
        Outcome::Moved => Own::Moved { open, stored: true },
        Outcome::Called(called) => Own::CallEnded { open, called },
        Outcome::Failed => match open.about {
            About::Call(_) => Own::Abandoned(open),
            About::Step { .. } => Own::StepEnded { open, done: false },
            About::Request { .. } | About::Read(_) => Own::Moved { open, stored: false },
        },
        Outcome::Unknown => Own::Indeterminate(open),
    }
}

/// The intent that `item` ends, if it ends one.
pub(super) fn closes(item: &Item) -> Option<u64> {
    match &item.body {
        Body::Outcome(of, _) => Some(*of),
        Body::Own(own) => own.closes(),
        Body::Event(_) => None,
    }
}

/// What `item` is the intent of, if it is one.
pub(super) fn opens(item: &Item) -> Option<About> {
    match (&item.body, &item.asker) {
        (Body::Event(event), Asker::Intent(_)) => About::intent(event),
        _ => None,
    }
}
