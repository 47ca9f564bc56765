//! `ban` and `unban`: what the broker lets in. It is the broker's to keep; what is trusted is in signed entries.

use serde_json::json;

use crate::{app::App, cli, console::counted, ending::Ending, failure::Failure, office::Office};

/// Whether a ban is put on or taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ban,
    Unban,
}

pub(super) async fn run(app: &mut App, args: &cli::Ban, order: Order) -> Result<Ending, Failure> {
    let office = Office::open(app)?;
    let label = office.label(&args.cluster, app.clock.now()).await?;
    let (replica, reason) = (args.replica.as_ref(), args.reason.as_str());
    let (event, reply) = match order {
        Order::Ban => ("banned", office.api().ban(&label, replica, reason).await?),
        Order::Unban => ("unbanned", office.api().unban(&label, replica, reason).await?),
    };
    let what = match replica {
        Some(replica) => format!("{} replica {replica}", args.cluster),
        None => args.cluster.to_string(),
    };
    let value = json!({
        "event": event, "cluster": args.cluster.to_string(), "label": label.to_string(),
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
    Ok(Ending::OK)
}
