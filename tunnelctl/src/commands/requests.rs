//! `requests`: this machine's own requests and grants, from the state folder; asks nobody.

use serde::Serialize;
use tunnel_protos::{UnixMillis, v1::RequestState};

use crate::{
    app::App,
    cli::Requests,
    console::{Format, safe, table::table, when},
    context::Contexts,
    ending::Ending,
    failure::Failure,
    requester::{
        record::{Asked, Folder, Record, What},
        state_name,
    },
};

pub(super) fn run(app: &mut App, args: &Requests) -> Result<Ending, Failure> {
    let (name, _) = Contexts::new(&app.folders.config).load(app.context.as_ref())?;
    let folder = Folder::new(&app.folders.state.join(name.to_string()).join("requests"));
    let now = app.clock.now();
    let open = folder.open(now)?;
    let ended = if args.all { folder.ended()? } else { Vec::new() };
    let rows: Vec<_> = ended.iter().chain(&open).map(|record| Row::new(record, now)).collect();
    match app.console.format() {
        Format::Json => rows.iter().for_each(|row| app.console.json(row)),
        Format::Text => app.console.print(text(&rows, now)),
    }
    folder.damaged()?.iter().for_each(|problem| app.console.warn(problem));
    Ok(Ending::OK)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    what: What,
    cluster: String,
    state: String,
    /// The cluster's sentence about it.
    because: String,
    until_ms: i64,
    words: String,
    methods: Vec<String>,
    targets: Vec<String>,
    /// What operation was asked for, as a title.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    reason: String,
    deadlines: Option<Deadlines>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deadlines {
    pending_until_ms: i64,
    claim_until_ms: i64,
    work_until_ms: i64,
    certificate_until_ms: i64,
}

impl Row {
    fn new(record: &Record, now: UnixMillis) -> Self {
        let answer = record.answer.as_ref();
        Self {
            id: record.id.to_string(),
            what: record.what,
            cluster: record.cluster.to_string(),
            state: record.state(now).map_or_else(|| UNANSWERED.into(), state_name),
            because: answer.map(|answer| answer.reason.clone()).unwrap_or_default(),
            until_ms: record.ends().0,
            words: record.words().to_string(),
            methods: record.methods.clone(),
            targets: record.targets.clone(),
            operation: record.operation.as_ref().map(title),
            reason: record.reason.clone(),
            deadlines: answer.map(|answer| Deadlines {
                pending_until_ms: answer.deadlines.pending_until_ms,
                claim_until_ms: answer.deadlines.claim_until_ms,
                work_until_ms: answer.deadlines.work_until_ms,
                certificate_until_ms: answer.deadlines.certificate_until_ms,
            }),
        }
    }

    /// Which deadline comes next depends on the state.
    fn next(&self, now: UnixMillis) -> String {
        let until = when::until(UnixMillis(self.until_ms), now);
        match RequestState::from_str_name(&format!(
            "REQUEST_STATE_{}",
            self.state.to_ascii_uppercase().replace('-', "_")
        )) {
            Some(RequestState::Approved) => format!("unused until {until}"),
            Some(RequestState::Active) => format!("work until {until}"),
            Some(RequestState::Running) => format!("follow it: tunnelctl watch {}", self.id),
            Some(RequestState::Pending) => format!("decided until {until}"),
            Some(_) => safe(&self.because),
            None => format!("expires {until}"),
        }
    }

    fn text(&self, now: UnixMillis) -> [String; 4] {
        [self.id.clone(), self.cluster.clone(), self.state.clone(), self.next(now)]
    }

    fn more(&self) -> String {
        let methods: Vec<_> = self.methods.iter().map(|method| safe(method)).collect();
        let what = self.operation.as_deref().map_or_else(|| methods.join(", "), safe);
        format!("  {}\n  {what} – {}", self.words, safe(&self.reason))
    }
}

fn title(asked: &Asked) -> String {
    if asked.dry_run { format!("{} (only planned)", asked.title) } else { asked.title.clone() }
}

/// Two lines more for each: the words, as the customer sees them, and what was asked why.
fn text(rows: &[Row], now: UnixMillis) -> String {
    if rows.is_empty() {
        return "no open requests".into();
    }
    let cells: Vec<_> = rows.iter().map(|row| row.text(now)).collect();
    let table = table(["ID", "CLUSTER", "STATE", "NEXT"], &cells);
    let mut lines = table.lines().map(str::to_owned);
    let mut out: Vec<String> = lines.next().into_iter().collect();
    for (line, row) in lines.zip(rows) {
        out.extend([line, row.more()]);
    }
    out.join("\n")
}

const UNANSWERED: &str = "unanswered";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        requester::{samples::answer, tests::scene},
        testing::NOW,
    };

    #[tokio::test]
    async fn shows_state_words_and_the_next_deadline() {
        let mut record = scene().access();
        record.answer = Some(answer(RequestState::Active));
        let shown = text(&[Row::new(&record, NOW)], NOW);
        assert!(
            shown.contains("active") && shown.contains("work until") && shown.contains("(in 15m)"),
            "{shown}"
        );
        assert!(
            shown.contains(&record.words().to_string()) && shown.contains("a.B/C – disk full"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn an_ended_one_says_why() {
        let mut record = scene().access();
        let mut said = answer(RequestState::Revoked);
        said.reason = "work is\u{1b} done".into();
        record.answer = Some(said);
        let shown = text(&[Row::new(&record, NOW)], NOW);
        assert!(shown.contains("revoked") && shown.contains("work is\\u{1b} done"), "{shown}");
    }
}
