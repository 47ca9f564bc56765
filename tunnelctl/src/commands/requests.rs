//! `requests`: this machine's own open requests and grants, from the state folder; asks nobody.

use serde::Serialize;
use tunnel_protos::UnixMillis;

use crate::{
    app::App,
    console::{Format, table::table, when},
    context::Contexts,
    ending::Ending,
    failure::Failure,
    requester::{
        record::{Folder, Record, What},
        state_name,
    },
};

pub(super) fn run(app: &mut App) -> Result<Ending, Failure> {
    let (name, _) = Contexts::new(&app.folders.config).load(app.context.as_ref())?;
    let folder = Folder::new(&app.folders.state.join(name.to_string()).join("requests"));
    let now = app.clock.now();
    let rows: Vec<_> = folder.open(now)?.iter().map(Row::new).collect();
    match app.console.format() {
        Format::Json => rows.iter().for_each(|row| app.console.json(row)),
        Format::Text => app.console.print(text(&rows, now)),
    }
    Ok(Ending::OK)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    what: What,
    cluster: String,
    state: String,
    until_ms: i64,
    words: String,
    methods: Vec<String>,
    targets: Vec<String>,
    reason: String,
}

impl Row {
    fn new(record: &Record) -> Self {
        Self {
            id: record.id.to_string(),
            what: record.what,
            cluster: record.cluster.to_string(),
            state: record
                .answer
                .as_ref()
                .map_or_else(|| UNANSWERED.into(), |answer| state_name(answer.state)),
            until_ms: record.ends().0,
            words: record.words().to_string(),
            methods: record.methods.clone(),
            targets: record.targets.clone(),
            reason: record.reason.clone(),
        }
    }
}

fn text(rows: &[Row], now: UnixMillis) -> String {
    if rows.is_empty() {
        return "no open requests".into();
    }
    let cells = rows.iter().map(|row| {
        let until = when::until(UnixMillis(row.until_ms), now);
        let methods = row.methods.join(", ");
        [row.id.clone(), row.cluster.clone(), row.state.clone(), until, methods, row.reason.clone()]
    });
    table(["ID", "CLUSTER", "STATE", "UNTIL", "METHODS", "REASON"], &cells.collect::<Vec<_>>())
}

const UNANSWERED: &str = "unanswered";
