//! `clusters` and `cluster show`: what the broker lists, each entry verified by the vendor key; the rest is labeled
//! "broker says".

use serde::Serialize;
use serde_json::json;
use tunnel_certs::statement::inventory::Opened;
use tunnel_protos::{
    ClusterName, UnixMillis,
    operators::Cluster,
    v1::{Health, TargetHealth},
};
use tunnel_runtime::{chain::chain, exit::Exit, layout};

use crate::{
    app::App,
    console::{Format, safe, table::table, when},
    desk::Desk,
    ending::Ending,
    entries,
    failure::Failure,
    requester::{record::Record, state_name},
};

pub(super) async fn list(app: &mut App) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let now = app.clock.now();
    let said = desk.requester.api.clusters().await?;
    let rows: Vec<_> = said.iter().map(|said| Row::new(said, &desk.entries.accept(said, now))).collect();
    match app.console.format() {
        Format::Json => rows.iter().for_each(|row| app.console.json(row)),
        Format::Text => app.console.print(text(&rows, now)),
    }
    Ok(Ending::OK)
}

/// One cluster in full, with what this machine has open there.
pub(super) async fn show(app: &mut App, name: &ClusterName) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let now = app.clock.now();
    let said = desk.requester.api.cluster(name).await?;
    let row = Row::new(&said, &desk.entries.accept_as(name, &said, now));
    let open = desk.requester.folder.open(now)?;
    let own: Vec<_> =
        open.iter().filter(|record| record.cluster == *name).map(|record| own(record, now)).collect();
    match app.console.format() {
        Format::Json => app.console.json(&json!({ "cluster": row, "own": own })),
        Format::Text => app.console.print(full(&row, own, now)),
    }
    let offline = row.broker_says.tunnels == 0;
    Ok(if row.proven { if offline { Exit::Offline } else { Exit::Ok } } else { Exit::Failed }.into())
}

fn own(record: &Record, now: UnixMillis) -> String {
    let state = record.state(now).map_or_else(|| "unanswered".into(), state_name);
    format!("{} {state} until {}", record.id, when::until(record.ends(), now))
}

fn full(row: &Row, own: Vec<String>, now: UnixMillis) -> String {
    let [cluster, label, entry, broker, _] = row.cells(now);
    let mut fields = vec![("Cluster", cluster), ("Label", label), ("Entry", entry)];
    fields.extend(row.words.iter().map(|words| ("Words of the entry", words.clone())));
    fields.push(("Broker says", broker));
    let health =
        |target: &Target| ("Broker says of the engine", format!("{} {}", target.target, target.health));
    fields.extend(row.broker_says.targets.iter().map(health));
    fields.extend(own.into_iter().map(|own| ("Yours", own)));
    if row.broker_says.tunnels == 0 {
        fields.push(("What to do", OFFLINE.into()));
    }
    layout::fields(&fields).trim_end().to_owned()
}

/// One cluster, proven or not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    cluster: String,
    label: String,
    proven: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_expires_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    broker_says: BrokerSays,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BrokerSays {
    tunnels: u32,
    targets: Vec<Target>,
    last_seen_ms: i64,
}

#[derive(Serialize)]
struct Target {
    target: String,
    health: &'static str,
}

impl Row {
    fn new(said: &Cluster, entry: &Result<Opened, entries::Error>) -> Self {
        let proven = entry.as_ref().ok();
        Self {
            cluster: safe(&said.cluster),
            label: safe(&said.label),
            proven: proven.is_some(),
            words: proven.map(|opened| opened.words.to_string()),
            entry_expires_ms: proven.map(|opened| opened.entry.expires.0),
            problem: entry.as_ref().err().map(|error| chain(error).to_string()),
            broker_says: BrokerSays {
                tunnels: said.tunnels,
                targets: said.targets.iter().take(MOST_TARGETS).map(Target::new).collect(),
                last_seen_ms: said.last_seen_ms,
            },
        }
    }

    fn cells(&self, now: UnixMillis) -> [String; 5] {
        let entry = match (&self.problem, self.entry_expires_ms) {
            (Some(problem), _) => format!("NOT PROVEN: {problem}"),
            (None, expires) => format!("proven until {}", UnixMillis(expires.unwrap_or_default())),
        };
        let says = &self.broker_says;
        let targets: Vec<_> = says.targets.iter().map(|t| format!("{} {}", t.target, t.health)).collect();
        let online = if says.tunnels == 0 { "offline".into() } else { format!("online by {}", says.tunnels) };
        let seen = when::ago(UnixMillis(says.last_seen_ms), now);
        let broker = format!("{online}, seen {seen}");
        [self.cluster.clone(), self.label.clone(), entry, broker, targets.join(", ")]
    }
}

impl Target {
    fn new(said: &TargetHealth) -> Self {
        let health = match said.health() {
            Health::Unspecified => "unknown",
            Health::Serving => "serving",
            Health::NotServing => "not serving",
            Health::Unreachable => "unreachable",
        };
        Self { target: safe(&said.target), health }
    }
}

fn text(rows: &[Row], now: UnixMillis) -> String {
    if rows.is_empty() {
        return "broker says: no clusters for you".into();
    }
    let cells: Vec<_> = rows.iter().map(|row| row.cells(now)).collect();
    table(["CLUSTER", "LABEL", "ENTRY", "BROKER SAYS", "BROKER SAYS OF THE ENGINE"], &cells)
}

const OFFLINE: &str = "tunnel-client dials out by itself: ask the customer for `tunnel-client status`; requests wait in the \
                       mailbox for 24 h";
/// A cluster has at most 64 targets; a broker that lists more is not worth reading on.
const MOST_TARGETS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Cluster {
        Cluster {
            cluster: "acme/\u{1b}[31mprod".into(),
            label: "aaaaaaaaaa\n".into(),
            targets: vec![TargetHealth { target: "\u{202e}x".into(), health: 1 }],
            ..Cluster::default()
        }
    }

    #[test]
    fn the_brokers_text_is_escaped_and_labeled() {
        let shown = text(&[Row::new(&said(), &Err(entries::Error::Missing))], UnixMillis(0));
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
        assert_eq!(shown.lines().count(), 2);
        assert!(shown.contains("NOT PROVEN") && shown.contains("BROKER SAYS") && shown.contains("offline"));
    }
}
