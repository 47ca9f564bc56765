//! `ban` and `unban`: what the broker lets in. It is the broker's to keep; what is trusted is in signed entries.

use serde_json::json;
use tunnel_protos::Label;

use crate::{app::App, cli, console::counted, ending::Ending, entries, failure::Failure, office::Office};

/// Whether a ban is put on or taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ban,
    Unban,
}

pub(super) async fn run(app: &mut App, args: &cli::Ban, order: Order) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let (label, name) = whom(app, &office, args).await?;
    let (replica, reason) = (args.replica.as_ref(), args.reason.as_str());
    let (event, reply) = match order {
        Order::Ban => ("banned", office.api().ban(&label, replica, reason).await?),
        Order::Unban => ("unbanned", office.api().unban(&label, replica, reason).await?),
    };
    let what = match replica {
        Some(replica) => format!("{name} replica {replica}"),
        None => name,
    };
    let value = json!({
        "event": event, "cluster": args.cluster.as_ref().map(ToString::to_string), "label": label.to_string(),
        "replica": replica.map(ToString::to_string), "closed": reply.closed,
    });
    let closed = match order {
        Order::Ban => format!(", broker says: {} closed", counted(reply.closed, "tunnel")),
        Order::Unban => String::new(),
    };
    app.console.result(&value, format_args!("{event} {what}{closed}"));
    if order == Order::Ban {
        app.console
            .note("If its keys may be known to others, replace them, too: tunnelctl enroll create --help");
    }
    if order == Order::Ban && replica.is_some() {
        app.console.note(ONE_REPLICA);
    }
    Ok(Ending::OK)
}

/// A cluster is named by its proven entry; by its label only where the administrator says so, as the broker may lie.
async fn whom(app: &App, office: &Office, args: &cli::Ban) -> Result<(Label, String), Failure> {
    match (&args.cluster, args.label) {
        (_, Some(label)) => Ok((label, format!("label {label}"))),
        (Some(cluster), None) => Ok((office.label(cluster, app.clock.now()).await?, cluster.to_string())),
        (None, None) => Err(Failure::Entry(entries::Error::Missing)),
    }
}

const ONE_REPLICA: &str = "Its id and its key are banned, and nothing else of the cluster: if others may have its service account or \
                           an open bundle, change the account, revoke the bundle (tunnelctl enroll list), or ban the cluster";
