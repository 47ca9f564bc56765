//! `request access`: asks without waiting; the answer is fetched by `watch` or `connect --resume`.

use serde_json::json;
use tunnel_protos::operators::Delivery;

use crate::{
    access::{Gaining, advice, progress::delivered},
    app::App,
    cli::{Request, RequestAccess},
    desk::Desk,
    ending::Ending,
    failure::Failure,
};

pub(super) async fn run(app: &mut App, request: Request) -> Result<Ending, Failure> {
    let Request::Access(args) = request;
    access(app, args).await
}

async fn access(app: &mut App, args: RequestAccess) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let to = desk.entry(&args.cluster).await?;
    let record = Gaining::new(app, &desk, to, None).make(args.methods, &args.ask)?;
    let delivery = desk.requester.submit(&record).await?;
    let id = record.id.to_string();
    let value = json!({
        "event": "asked", "id": id, "words": record.words().to_string(), "expiresMs": record.expires.0,
        "brokerSays": just_sent(delivery),
    });
    app.console.result(&value, &id);
    app.console.note(format_args!("broker says: {}", just_sent(delivery)));
    app.console.note(format_args!("  tunnelctl watch {id}\n  {}", advice::resume(&record)));
    Ok(Ending::OK)
}

/// Every request waits in the mailbox for a moment; only one that stays there says that the cluster is offline.
fn just_sent(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Waiting => "in the mailbox",
        other => delivered(other),
    }
}
