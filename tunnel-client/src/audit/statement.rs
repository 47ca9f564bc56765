//! What was done under one grant, gathered from the log: for a signed receipt, and for the page beside it.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use tunnel_certs::statement::{
    envelope,
    receipt::{Call, MAX_CALLS, Receipt},
};
use tunnel_protos::{ClusterName, Digest, GrantId, Label, UnixMillis, v1};

use super::{
    line::Line,
    select::{self, Filter, SelectError},
};

/// What the log says of a grant.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What is signed.
    pub receipt: Receipt,
    /// The request's words.
    pub words: String,
    /// What was asked for: method patterns.
    pub methods: Vec<String>,
    /// Or an operation, in one line.
    pub operation: Option<String>,
    /// What was done for it: its plans, steps, gates, bundles and its end, each in a line, and when.
    pub work: Vec<(UnixMillis, String)>,
    /// Targets that were asked for.
    pub targets: Vec<String>,
    /// Who or what said yes or no, or cut it, and when.
    pub decisions: Vec<(UnixMillis, String)>,
    /// Certificates that were made.
    pub certificates: u64,
    /// Calls that mutate whose end was not read yet, by their intent.
    open: BTreeMap<u64, Call>,
    /// Where the work says that a step was to be taken, by its intent.
    steps: BTreeMap<u64, usize>,
}

/// Why nothing can be said of a grant.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The log.
    #[error("the audit log")]
    Select(#[source] SelectError),
    /// No record of it.
    #[error("the audit log holds no request for access or an operation {0}")]
    Unknown(GrantId),
    /// Its first record lacks what was asked, or is not ours.
    #[error("record {0} of the audit log lacks its {1}")]
    Field(u64, &'static str),
    /// More than a receipt holds.
    #[error("more than {MAX_CALLS} calls were made under it; use: tunnel-client audit show --grant {0}")]
    TooMany(GrantId),
}

/// Gathers what the log in `folder` says of `grant`.
pub fn gather(
    folder: &Path,
    grant: GrantId,
    cluster: &ClusterName,
    label: Label,
    now: UnixMillis,
) -> Result<Statement, StatementError> {
    let filter = Filter { id: Some(grant.to_string()), ..Filter::default() };
    let mut gathered: Option<Statement> = None;
    for line in select::select(folder, filter).map_err(StatementError::Select)? {
        let (line, _) = line.map_err(StatementError::Select)?;
        if gathered.is_none() && is_grant(&line) {
            gathered = Some(begin(&line, grant, cluster, label, now)?);
        }
        if let Some(statement) = &mut gathered {
            statement.add(&line)?;
        }
    }
    gathered.ok_or(StatementError::Unknown(grant))?.with_open()
}

fn begin(
    line: &Line,
    grant: GrantId,
    cluster: &ClusterName,
    label: Label,
    now: UnixMillis,
) -> Result<Statement, StatementError> {
    let missing = |what| StatementError::Field(line.seq, what);
    let asked = line.fields.get("asked").ok_or_else(|| missing("what was asked"))?;
    let request = data_encoding::HEXLOWER.decode(line.text("digest").as_bytes()).unwrap_or_default();
    Ok(Statement {
        receipt: Receipt {
            cluster: cluster.clone(),
            label,
            grant,
            request: Digest::try_from(&request[..]).map_err(|_| missing("digest"))?,
            operator: line.text("operator").parse().map_err(|_| missing("operator"))?,
            reason: reason(asked),
            state: v1::RequestState::Unspecified,
            approvals: Vec::new(),
            calls: Vec::new(),
            records: (line.seq, line.seq),
            made: now,
        },
        words: line.text("words").to_owned(),
        methods: texts(asked, "methods"),
        operation: asked.get("operation").and_then(Value::as_str).map(ToOwned::to_owned),
        work: Vec::new(),
        targets: texts(asked, "targets"),
        decisions: Vec::new(),
        certificates: 0,
        open: BTreeMap::new(),
        steps: BTreeMap::new(),
    })
}

/// What a record of an operation's work says, without who did it; nothing is escaped.
pub fn work(line: &Line) -> String {
    let text = |name| line.text(name);
    let step = || line.number("step").unwrap_or_default();
    let is = |name| line.fields.get(name).and_then(Value::as_bool).unwrap_or_default();
    match line.kind.as_str() {
        "planned" => format!("planned: {} (plan {})", text("title"), text("plan")),
        "step" if is("back") => format!("step {} taken back: {}", step(), text("title")),
        "step" => format!("step {}: {}", step(), text("title")),
        "gate" if is("held") => format!("step {}: all is well", step()),
        "gate" => format!("step {}: not well in time", step()),
        "operation" => format!("{}: {}", text("state"), text("why")),
        "bundle" => format!("bundle {} {}", text("bundle"), text("what")),
        _ => "stopped".to_owned(),
    }
}

impl Statement {
    fn add(&mut self, line: &Line) -> Result<(), StatementError> {
        self.receipt.records.1 = line.seq;
        match line.kind.as_str() {
            "move" if is_grant(line) => self.moved(line),
            "planned" | "step" | "gate" | "operation" | "bundle" | "cancelOperation" => self.worked(line),
            "answer" => self.answered(line),
            "certificate" => self.certificates += 1,
            "call" => drop(self.open.insert(line.seq, call(line)?)),
            "stepEnded" if line.fields.get("done") == Some(&Value::Bool(false)) => {
                self.step_ended(line, "not done");
            }
            "abandoned" => {
                self.close(line);
                self.step_ended(line, "not called");
            }
            "indeterminate" => {
                self.called(line)?;
                self.step_ended(line, "nobody knows whether it was done");
            }
            "callEnded" | "read" => self.called(line)?,
            _ => {}
        }
        Ok(())
    }

    fn moved(&mut self, line: &Line) {
        let (state, before) = (line.text("state"), self.receipt.state);
        let name = format!("REQUEST_STATE_{}", upper_snake(state));
        let now = v1::RequestState::from_str_name(&name).unwrap_or_default();
        // Whatever becomes of its grant, the state goes on telling of the run.
        if now != v1::RequestState::Revoked || !tells_of_run(before) {
            self.receipt.state = now;
        }
        // Begun once more, because the first time could not be stored.
        if now == v1::RequestState::Running && before == now {
            return;
        }
        let by = match (line.text("by"), line.text("rule")) {
            ("", "") => String::new(),
            ("", rule) => format!(" ({rule})"),
            (by, _) => format!(" by {by}"),
        };
        self.decisions.push((line.time, format!("{state}{by}{}", note(line))));
        self.keep_approval(line);
    }

    fn answered(&mut self, line: &Line) {
        let yes = line.fields.get("yes").and_then(Value::as_bool).unwrap_or_default();
        let said = if yes { "yes" } else { "no" };
        self.decisions.push((line.time, format!("{said} by {}{}", line.text("by"), note(line))));
        self.keep_approval(line);
    }

    fn worked(&mut self, line: &Line) {
        let done = match line.kind.as_str() {
            "bundle" => format!("{}{}", work(line), by(line)),
            "cancelOperation" => format!("{}{}{}", work(line), by(line), note(line)),
            _ => work(line),
        };
        if line.kind == "step" {
            self.steps.insert(line.seq, self.work.len());
        }
        self.work.push((line.time, done));
        self.keep_approval(line);
    }

    /// Adds to the step whose intent ended by `line`, if it was one, what became of it.
    fn step_ended(&mut self, line: &Line, how: &str) {
        let begun = line.number("of").and_then(|of| self.steps.get(&of));
        if let Some((_, said)) = begun.and_then(|at| self.work.get_mut(*at)) {
            *said = format!("{said} ({how})");
        }
    }

    fn keep_approval(&mut self, line: &Line) {
        use prost::Message;
        let bytes = data_encoding::BASE64.decode(line.text("approval").as_bytes()).unwrap_or_default();
        if let Ok(approval) = v1::Envelope::decode(&bytes[..])
            && !bytes.is_empty()
        {
            let digest = envelope::digest(&approval);
            if !self.receipt.approvals.contains(&digest) {
                self.receipt.approvals.push(digest);
            }
        }
    }

    /// An indeterminate move of a request, or a step, has no method, and is no call.
    fn called(&mut self, line: &Line) -> Result<(), StatementError> {
        if line.text("method").is_empty() {
            return Ok(());
        }
        self.close(line);
        self.keep_call(call(line)?)
    }

    fn close(&mut self, line: &Line) {
        line.number("of").map(|of| self.open.remove(&of));
    }

    fn keep_call(&mut self, call: Call) -> Result<(), StatementError> {
        if self.receipt.calls.len() >= MAX_CALLS {
            return Err(StatementError::TooMany(self.receipt.grant));
        }
        self.receipt.calls.push(call);
        Ok(())
    }

    /// What was forwarded and has no end yet was called all the same.
    fn with_open(mut self) -> Result<Self, StatementError> {
        for call in std::mem::take(&mut self.open).into_values() {
            self.keep_call(call)?;
        }
        Ok(self)
    }
}

fn call(line: &Line) -> Result<Call, StatementError> {
    let time = |name| line.fields.get(name).and_then(Value::as_i64).map(UnixMillis);
    let number = |name| line.number(name).unwrap_or_default();
    Ok(Call {
        started: time("started").unwrap_or(line.time),
        ended: line.time,
        target: line.text("target").parse().map_err(|_| StatementError::Field(line.seq, "target"))?,
        method: line.text("method").parse().map_err(|_| StatementError::Field(line.seq, "method"))?,
        status: line.number("status").and_then(|status| u32::try_from(status).ok()).unwrap_or(UNKNOWN),
        bytes_in: number("bytesIn"),
        bytes_out: number("bytesOut"),
    })
}

fn tells_of_run(state: v1::RequestState) -> bool {
    use v1::RequestState::{Cancelled, Failed, Indeterminate, RolledBack, Running, Succeeded};
    matches!(state, Running | Succeeded | Failed | RolledBack | Cancelled | Indeterminate)
}

/// Whether it moves what becomes a grant.
fn is_grant(line: &Line) -> bool {
    ["access", "operation"].contains(&line.text("subject"))
}

/// `ROLLED_BACK` of `rolledBack`.
fn upper_snake(name: &str) -> String {
    let letter = |c: char| {
        let before = c.is_ascii_uppercase().then_some('_');
        before.into_iter().chain([c.to_ascii_uppercase()])
    };
    name.chars().flat_map(letter).collect()
}

fn by(line: &Line) -> String {
    match line.text("by") {
        "" => String::new(),
        by => format!(" by {by}"),
    }
}

fn note(line: &Line) -> String {
    match line.text("note") {
        "" => String::new(),
        note => format!(": {note}"),
    }
}

fn reason(asked: &Value) -> v1::Reason {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let occasion = format!("REASON_TYPE_{}", text("occasion").to_uppercase());
    let occasion = v1::ReasonType::from_str_name(&occasion).unwrap_or(v1::ReasonType::Other);
    v1::Reason { r#type: occasion.into(), text: text("reason"), ticket: text("ticket") }
}

fn texts(asked: &Value, name: &str) -> Vec<String> {
    let items = asked.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// gRPC's, for a call whose end nobody saw.
const UNKNOWN: u32 = 2;
