//! What the log says, entered record by record; one that contradicts an earlier one is an error. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tunnel_client::audit::line::{Chain, Line};

use crate::{
    harness::approver_key,
    torture::{calls::Counts, ledger::Fact},
};

/// All records so far.
pub(super) struct Index {
    chain: Chain,
    intents: BTreeMap<u64, Intent>,
    open: BTreeSet<u64>,
    /// Intents by request, in order.
    moves: HashMap<String, Vec<u64>>,
    /// Intents by grant and method.
    calls: HashMap<(String, String), Vec<u64>>,
    answers: HashSet<(String, bool)>,
    /// Serial, and the request that it was made for.
    certificates: HashMap<String, String>,
    /// The digest of a door, and the grant and target that it leads to.
    doors: HashMap<String, (String, String)>,
    /// The other way round.
    places: HashMap<(String, String), String>,
}

struct Intent {
    /// The state that a request moves to; empty for a call.
    state: String,
    end: End,
}

/// What came of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing yet.
    Open,
    /// It happened.
    Done,
    /// It did not.
    Not,
    /// The process ended before.
    Unknown,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            chain: Chain::START,
            intents: BTreeMap::new(),
            open: BTreeSet::new(),
            moves: HashMap::new(),
            calls: HashMap::new(),
            answers: HashSet::new(),
            certificates: HashMap::new(),
            doors: HashMap::new(),
            places: HashMap::new(),
        }
    }
}

impl Index {
    /// Enters the next line.
    pub(super) fn take(&mut self, raw: &[u8]) -> Result<()> {
        let line = Line::parse(raw).with_context(|| format!("record {} is no record", self.chain.next))?;
        let here = Chain { next: line.seq, prev: line.prev };
        ensure!(here == self.chain, "record {} does not continue what was read before", line.seq);
        self.chain = self.chain.after(raw);
        self.enter(&line).with_context(|| format!("record {} ({})", line.seq, line.kind))
    }

    fn enter(&mut self, line: &Line) -> Result<()> {
        match line.kind.as_str() {
            "started" => {
                ensure!(self.open.is_empty(), "intents of the run before have no outcome: {:?}", self.open);
            }
            "move" => self.moves_to(line)?,
            "call" => {
                let call = (line.text("grant").to_owned(), line.text("method").to_owned());
                self.calls.entry(call).or_default().push(line.seq);
                self.intend(line.seq, "", End::Open);
            }
            "step" if !line.fields.contains_key("late") => self.intend(line.seq, "", End::Open),
            "answer" => self.answered(line),
            "certificate" => self.certified(line)?,
            "moved" | "stepEnded" | "callEnded" | "indeterminate" | "abandoned" => self.ended(line)?,
            "damaged" | "unwritable" | "dropped" => bail!("on a disk that has no fault"),
            _ => {}
        }
        Ok(())
    }

    fn intend(&mut self, seq: u64, state: &str, end: End) {
        self.intents.insert(seq, Intent { state: state.to_owned(), end });
        if end == End::Open {
            self.open.insert(seq);
        }
    }

    fn moves_to(&mut self, line: &Line) -> Result<()> {
        let (request, state) = (line.text("request"), line.text("state"));
        for before in self.moved(request) {
            let again = before == "approved" && state == "approved";
            ensure!(!again, "{request} is granted twice");
            ensure!(!(is_over(before) && is_open(state)), "{request} is {state} after it was {before}");
        }
        let late = line.fields.contains_key("late");
        self.moves.entry(request.to_owned()).or_default().push(line.seq);
        self.intend(line.seq, line.text("state"), if late { End::Done } else { End::Open });
        Ok(())
    }

    /// The states that a request is known to have come to.
    fn moved(&self, request: &str) -> impl Iterator<Item = &str> {
        let intents = self.moves.get(request).into_iter().flatten().map(|seq| &self.intents[seq]);
        intents.filter(|intent| intent.end == End::Done).map(|intent| intent.state.as_str())
    }

    /// Only what the customer's key signed is an answer.
    fn answered(&mut self, line: &Line) {
        if line.text("by") == approver_key::NAME && !line.text("approval").is_empty() {
            let yes = line.fields.get("yes") == Some(&Value::Bool(true));
            self.answers.insert((line.text("request").to_owned(), yes));
        }
    }

    fn certified(&mut self, line: &Line) -> Result<()> {
        let (serial, grant) = (line.text("serial"), line.text("grant"));
        let before = self.certificates.insert(serial.to_owned(), line.text("request").to_owned());
        ensure!(!serial.is_empty() && before.is_none(), "the serial {serial} twice");
        for door in line.fields.get("doors").and_then(Value::as_array).into_iter().flatten() {
            let text = |field: &str| door[field].as_str().unwrap_or_default().to_owned();
            let (place, door) = ((grant.to_owned(), text("target")), text("sha256"));
            let leads = self.doors.entry(door.clone()).or_insert_with(|| place.clone());
            ensure!(*leads == place, "one door to {leads:?} and to {place:?}");
            let opened = self.places.entry(place).or_insert_with(|| door.clone());
            ensure!(*opened == door, "two doors to one target of {grant}");
        }
        Ok(())
    }

    fn ended(&mut self, line: &Line) -> Result<()> {
        let of = line.number("of").context("names no intent")?;
        let intent = self.intents.get_mut(&of).with_context(|| format!("{of} is no intent"))?;
        ensure!(self.open.remove(&of), "intent {of} has ended twice");
        intent.end = match line.kind.as_str() {
            "moved" if line.fields.get("stored") == Some(&Value::Bool(true)) => End::Done,
            "stepEnded" if line.fields.get("done") == Some(&Value::Bool(true)) => End::Done,
            "callEnded" if line.number("status") == Some(0) => End::Done,
            "indeterminate" => End::Unknown,
            _ => End::Not,
        };
        Ok(())
    }

    /// How many records were entered.
    pub(super) fn records(&self) -> u64 {
        self.chain.next - 1
    }

    /// The first intent that waits for its outcome.
    pub(super) fn open(&self) -> Option<u64> {
        self.open.first().copied()
    }

    /// Whether what was acknowledged is in the log.
    pub(super) fn has(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Moved(request, state) => {
                let moves = self.moves.get(&request.to_string());
                moves.into_iter().flatten().any(|seq| {
                    let intent = &self.intents[seq];
                    intent.state == *state && intent.end != End::Not
                })
            }
            Fact::Answered(request, yes) => self.answers.contains(&(request.to_string(), *yes)),
            Fact::Certified(request, serial) => {
                self.certificates.get(serial).is_some_and(|made_for| *made_for == request.to_string())
            }
        }
    }

    /// No more calls were answered than are in the log and may have succeeded.
    pub(super) fn has_calls(&self, answered: &Counts) -> Result<()> {
        self.covers(answered, "answered", |end| end != End::Not)
    }

    /// No more calls reached the engine than were intended.
    pub(super) fn has_intents(&self, reached: &Counts) -> Result<()> {
        self.covers(reached, "in the engine", |_| true)
    }

    fn covers(&self, calls: &Counts, what: &str, counts: impl Fn(End) -> bool) -> Result<()> {
        for ((grant, method), made) in calls {
            let method = method.name();
            let intents = self.calls.get(&(grant.to_string(), method.to_owned()));
            let ends = intents.into_iter().flatten().map(|seq| self.intents[seq].end);
            let logged = ends.filter(|end| counts(*end)).count();
            ensure!(
                logged >= *made,
                "{made} calls of {method} under {grant} are {what}, {logged} in the log"
            );
        }
        Ok(())
    }
}

fn is_over(state: &str) -> bool {
    !is_open(state)
}

fn is_open(state: &str) -> bool {
    matches!(state, "pending" | "approved" | "active")
}
