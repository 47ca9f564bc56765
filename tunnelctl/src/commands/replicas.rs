//! `replicas`: who holds a mesh certificate, by the broker's word; names of clusters come from proven entries.

use std::collections::HashMap;

use serde_json::{Value, json};
use tunnel_protos::{UnixMillis, operators::Replica};

use crate::{
    app::App,
    cli,
    console::{Format, safe, table::table, when},
    ending::Ending,
    failure::Failure,
    office::Office,
};

pub(super) async fn run(app: &mut App, args: &cli::Replicas) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let now = app.clock.now();
    let (label, names) = match &args.cluster {
        Some(cluster) => {
            let label = office.label(cluster, now).await?;
            (Some(label), HashMap::from([(label.to_string(), cluster.to_string())]))
        }
        None => {
            let keys = office.keys(now).await?.into_iter();
            (None, keys.map(|(label, (cluster, _))| (label.to_string(), cluster.to_string())).collect())
        }
    };
    let replicas = office.api().replicas(label.as_ref()).await?;
    let name = |replica: &Replica| names.get(&replica.label).cloned();
    match app.console.format() {
        Format::Json => {
            for replica in &replicas {
                app.console.json(&value(replica, name(replica).as_deref()));
            }
        }
        Format::Text if replicas.is_empty() => app.console.print("broker says: no replicas"),
        Format::Text => {
            let rows: Vec<_> = replicas.iter().map(|replica| cells(replica, name(replica), now)).collect();
            let headings = ["CLUSTER", "REPLICA", "BROKER SAYS", "CERTIFICATE UNTIL", "LAST SEEN"];
            app.console.print(table(headings, &rows));
        }
    }
    Ok(Ending::OK)
}

fn value(replica: &Replica, cluster: Option<&str>) -> Value {
    json!({
        "cluster": cluster, "label": safe(&replica.label), "replica": safe(&replica.id),
        "brokerSays": {
            "connected": replica.connected, "banned": replica.banned, "certificateUntilMs": replica.not_after_ms,
            "lastSeenMs": replica.last_seen_ms,
        },
    })
}

fn cells(replica: &Replica, cluster: Option<String>, now: UnixMillis) -> [String; 5] {
    let cluster = cluster.unwrap_or_else(|| format!("{} (no proven entry)", safe(&replica.label)));
    let state = match (replica.banned, replica.connected) {
        (true, _) => "banned",
        (false, true) => "connected",
        (false, false) => "away",
    };
    let until = when::until(UnixMillis(replica.not_after_ms), now);
    let seen = when::ago(UnixMillis(replica.last_seen_ms), now);
    [cluster, safe(&replica.id), state.into(), until, seen]
}
