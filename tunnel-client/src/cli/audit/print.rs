//! The audit log for people and scripts. Whatever came from outside is escaped: a log is where attackers write to.

use std::{fmt::Write, io, path::Path};

use serde_json::{Value, json};
use tunnel_protos::{
    UnixMillis,
    text::{escape, escape_json, spoken},
    v1,
};

use super::line::{Operators, readable};
use crate::{
    audit::{
        line::Line,
        statement::Statement,
        verify::{Broken, Whole},
    },
    cli::output::Format,
};

pub(super) fn whole(whole: &Whole, format: Format) -> String {
    let Whole { first, last, unfinished } = whole;
    match format {
        Format::Json => {
            document(&json!({ "whole": true, "first": first, "last": last, "unfinished": unfinished }))
        }
        Format::Text if *unfinished => {
            format!(
                "Whole: records {first} to {last}; a line after them is unfinished, and was never acknowledged.\n"
            )
        }
        Format::Text => format!("Whole: records {first} to {last}.\n"),
    }
}

pub(super) fn marked(last: u64, format: Format) -> String {
    match format {
        Format::Json => document(&json!({ "marked": last })),
        Format::Text => {
            format!(
                "Marked up to record {last}: the client removes these once they are older than `audit.retention`.\n"
            )
        }
    }
}

pub(super) fn broken(broken: &Broken, format: Format) -> String {
    let Broken { record, place, what } = broken;
    match format {
        Format::Json => document(&json!({
            "whole": false, "record": record, "place": escape(place, LONG), "what": what.to_string(),
        })),
        Format::Text => format!("Broken: record {record} (seen at {}): {what}.\n", escape(place, LONG)),
    }
}

/// Records on their way out, one after the other.
pub(super) struct Records<'o, O> {
    format: Format,
    any: bool,
    operators: Operators,
    out: &'o mut O,
}

impl<'o, O: io::Write> Records<'o, O> {
    pub(super) fn new(format: Format, out: &'o mut O) -> Self {
        Self { format, any: false, operators: Operators::default(), out }
    }

    pub(super) fn add(&mut self, line: &Line) -> io::Result<()> {
        let first = !std::mem::replace(&mut self.any, true);
        match self.format {
            Format::Json => {
                let before = if first { "{ \"records\": [\n" } else { ",\n" };
                write!(self.out, "{before}{}", escape_json(&object(line).to_string()))
            }
            Format::Text => self.out.write_all(readable(line, &mut self.operators).as_bytes()),
        }
    }

    pub(super) fn end(self) -> io::Result<()> {
        match (self.format, self.any) {
            (Format::Json, true) => self.out.write_all(b"\n] }\n"),
            (Format::Json, false) => self.out.write_all(b"{ \"records\": [] }\n"),
            (Format::Text, true) => Ok(()),
            (Format::Text, false) => self.out.write_all(b"No records.\n"),
        }
    }
}

fn object(line: &Line) -> Value {
    let mut fields = line.fields.clone();
    fields.insert("seq".to_owned(), line.seq.into());
    fields.insert("time".to_owned(), line.time.0.into());
    fields.insert("prev".to_owned(), line.prev.to_string().into());
    fields.insert("kind".to_owned(), line.kind.clone().into());
    Value::Object(fields)
}

/// The same for scripts.
pub(super) fn receipt(statement: &Statement, out: &Path) -> String {
    let receipt = &statement.receipt;
    let said = |(time, what): &(UnixMillis, String)| json!({ "time": time.0, "what": what });
    let calls = receipt.calls.iter().map(|call| {
        json!({
            "started": call.started.0, "ended": call.ended.0, "target": call.target.to_string(),
            "method": call.method.to_string(), "status": call.status,
            "bytesIn": call.bytes_in, "bytesOut": call.bytes_out,
        })
    });
    document(&json!({
        "file": out.display().to_string(),
        "grant": receipt.grant.to_string(),
        "cluster": receipt.cluster.to_string(),
        "label": receipt.label.to_string(),
        "operator": receipt.operator.to_string(),
        "words": statement.words,
        "reason": { "text": receipt.reason.text, "ticket": receipt.reason.ticket },
        "methods": statement.methods,
        "operation": statement.operation,
        "targets": statement.targets,
        "certificates": statement.certificates,
        "state": state(receipt.state),
        "decisions": statement.decisions.iter().map(said).collect::<Vec<_>>(),
        "work": statement.work.iter().map(said).collect::<Vec<_>>(),
        "calls": calls.collect::<Vec<_>>(),
        "records": { "first": receipt.records.0, "last": receipt.records.1 },
        "made": receipt.made.0,
    }))
}

/// The page beside a signed receipt.
pub(super) fn page(statement: &Statement, out: &Path) -> String {
    let receipt = &statement.receipt;
    let mut text = format!("RECEIPT  grant {}\n\n", receipt.grant);
    let ticket = if receipt.reason.ticket.is_empty() { "" } else { " – " };
    let rows = [
        ("Cluster", format!("{} (label {})", receipt.cluster, receipt.label)),
        ("Asked by", receipt.operator.to_string()),
        ("Words", statement.words.clone()),
        ("Reason", format!("{}{ticket}{}", receipt.reason.text, receipt.reason.ticket)),
        match &statement.operation {
            Some(operation) => ("Operation", operation.clone()),
            None => ("Methods", statement.methods.join(", ")),
        },
        ("Targets", statement.targets.join(", ")),
        ("Certificates", statement.certificates.to_string()),
        ("State", state(receipt.state)),
    ];
    for (name, value) in rows {
        let _infallible = writeln!(text, "{name:<14}{}", escape(&value, PAGE));
    }
    text.push_str(&told("Decided", &statement.decisions));
    if statement.operation.is_some() {
        text.push_str(&told("Done", &statement.work));
    }
    text.push_str(&calls(statement));
    text.push_str(&how_to_verify(statement, out));
    text
}

fn told(title: &str, lines: &[(UnixMillis, String)]) -> String {
    let mut text = format!("\n{title}\n");
    for (time, what) in lines {
        let _infallible = writeln!(text, "  {}  {}", time.precise(), escape(what, LONG));
    }
    text
}

fn calls(statement: &Statement) -> String {
    let calls = &statement.receipt.calls;
    let (sent, got) = calls.iter().fold((0, 0), |(i, o), call| (i + call.bytes_in, o + call.bytes_out));
    let mut text =
        format!("\nCalls: {}, {sent} bytes from the operator, {got} bytes to the operator\n", calls.len());
    for call in calls {
        let took = call.ended.since(call.started).as_millis();
        let _infallible = writeln!(
            text,
            "  {}  {} {}  status {}  {took} ms  in {}  out {}",
            call.started.precise(),
            call.target,
            call.method,
            call.status,
            call.bytes_in,
            call.bytes_out
        );
    }
    text
}

fn how_to_verify(statement: &Statement, out: &Path) -> String {
    let (first, last) = statement.receipt.records;
    let file = escape(&out.display().to_string(), LONG);
    format!(
        "\nRecords {first} to {last} of the audit log, which was whole when this was made ({}).\n\
         Signed by the cluster key: {file}. To verify it, with the inventory entry that you trust:\n  \
         tunnel-certs inspect {file} --signed-by entry.pb\n\
         To compare it with the log itself: tunnel-client audit verify, and audit show --grant {}\n",
        statement.receipt.made.precise(),
        statement.receipt.grant
    )
}

fn state(state: v1::RequestState) -> String {
    spoken(state.as_str_name(), "REQUEST_STATE_")
}

fn document(value: &Value) -> String {
    escape_json(&format!("{value:#}\n"))
}

/// Longer than any text from people.
const LONG: usize = 1024;
/// Lists of methods are longer.
const PAGE: usize = 8192;
