//! `inventory`: the signed entries that operators trust, and their renewal.

use serde_json::{Value, json};
use tunnel_certs::statement::inventory::Opened;
use tunnel_protos::{ClusterName, UnixMillis, operators::Cluster};
use tunnel_runtime::{chain::chain, exit::Exit, layout};

use crate::{
    app::App,
    cli::Inventory,
    console::{Format, safe, table::table, when},
    desk::Desk,
    ending::Ending,
    entries,
    failure::Failure,
};

mod renew;

pub(super) async fn run(app: &mut App, command: Inventory) -> Result<Ending, Failure> {
    match command {
        Inventory::List => list(app).await,
        Inventory::Show { cluster } => show(app, &cluster).await,
        Inventory::Renew(args) => renew::run(app, *args).await,
    }
}

async fn list(app: &mut App) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let now = app.clock.now();
    let rows: Vec<_> =
        desk.requester.api.clusters().await?.iter().map(|said| Row::new(&desk, said, now)).collect();
    match app.console.format() {
        Format::Json => rows.iter().for_each(|row| app.console.json(&row.value(now))),
        Format::Text if rows.is_empty() => app.console.print("broker says: no clusters"),
        Format::Text => {
            let cells: Vec<_> = rows.iter().map(|row| row.cells(now)).collect();
            app.console.print(table(["CLUSTER", "LABEL", "SEQUENCE", "EXPIRES", "ENTRY"], &cells));
        }
    }
    warn(app, &rows, now);
    Ok(Ending::OK)
}

/// What has to be renewed soon, with the command that does it.
fn warn(app: &mut App, rows: &[Row], now: UnixMillis) {
    let due: Vec<_> = rows.iter().filter(|row| row.is_due(now)).map(|row| row.cluster.as_str()).collect();
    if !due.is_empty() {
        app.console.warn(format_args!(
            "{} of {} entries end within 30 days: {}",
            due.len(),
            rows.len(),
            shortened(&due)
        ));
        app.console.note("  tunnelctl inventory renew --all --within 30d --vendor-key vendor.key");
    }
}

async fn show(app: &mut App, cluster: &ClusterName) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let now = app.clock.now();
    let row = Row::new(&desk, &desk.requester.api.cluster(cluster).await?, now);
    if row.cluster != cluster.as_str() {
        return Err(entries::Error::Missing.into());
    }
    match app.console.format() {
        Format::Json => app.console.json(&row.value(now)),
        Format::Text => app.console.print(row.full(now)),
    }
    let is_good = row.entry.as_ref().is_ok_and(|opened| opened.entry.expires > now);
    warn(app, &[row], now);
    Ok(if is_good { Ending::OK } else { Exit::Failed.into() })
}

/// A few names, and how many more.
pub(crate) fn shortened(names: &[&str]) -> String {
    let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(MOST_NAMES) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// One entry, proven or not.
struct Row {
    cluster: String,
    label: String,
    entry: Result<Opened, entries::Error>,
}

impl Row {
    fn new(desk: &Desk, said: &Cluster, now: UnixMillis) -> Self {
        let entry = match said.cluster.parse() {
            Ok(cluster) => desk.entries.accept_lapsed(&cluster, said, now),
            Err(_) => Err(entries::Error::Missing),
        };
        Self { cluster: safe(&said.cluster), label: safe(&said.label), entry }
    }

    fn is_due(&self, now: UnixMillis) -> bool {
        self.entry.as_ref().is_ok_and(|opened| opened.entry.expires <= now.plus(entries::DUE))
    }

    fn verdict(&self, now: UnixMillis) -> String {
        match &self.entry {
            Ok(opened) if opened.entry.expires <= now => "EXPIRED: operators refuse it".into(),
            Ok(opened) if self.is_due(now) => {
                format!(
                    "proven, ends within {}",
                    tunnel_protos::time::lasting(opened.entry.expires.since(now))
                )
            }
            Ok(_) => "proven".into(),
            Err(error) => format!("NOT PROVEN: {}", chain(error)),
        }
    }

    fn cells(&self, now: UnixMillis) -> [String; 5] {
        let opened = self.entry.as_ref().ok();
        let sequence = opened.map(|opened| opened.entry.sequence.to_string()).unwrap_or_default();
        let expires = opened.map(|opened| opened.entry.expires.to_string()).unwrap_or_default();
        [self.cluster.clone(), self.label.clone(), sequence, expires, self.verdict(now)]
    }

    fn value(&self, now: UnixMillis) -> Value {
        let opened = self.entry.as_ref().ok();
        json!({
            "cluster": self.cluster, "label": self.label, "proven": opened.is_some(),
            "sequence": opened.map(|opened| opened.entry.sequence),
            "expiresMs": opened.map(|opened| opened.entry.expires.0),
            "expired": opened.map(|opened| opened.entry.expires <= now),
            "words": opened.map(|opened| opened.words.to_string()),
            "problem": self.entry.as_ref().err().map(|error| chain(error).to_string()),
        })
    }

    fn full(&self, now: UnixMillis) -> String {
        let [cluster, label, sequence, _, verdict] = self.cells(now);
        let mut fields =
            vec![("Cluster", cluster), ("Label", label), ("Entry", verdict), ("Sequence", sequence)];
        if let Ok(opened) = &self.entry {
            fields.push(("Expires", when::until(opened.entry.expires, now)));
            fields.push(("Cluster key", hex(&opened.entry.cluster_key.keyid())));
            fields.push(("Words of the entry", opened.words.to_string()));
        }
        layout::fields(&fields).trim_end().to_owned()
    }
}

/// As much of a key's id as people compare.
fn hex(keyid: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&keyid[..keyid.len().min(16)])
}

/// More names would push the rest off the screen.
const MOST_NAMES: usize = 10;
