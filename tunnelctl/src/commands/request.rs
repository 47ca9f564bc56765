//! `request`: access without waiting; operations with everything that follows: the decision, the steps, the end.

use serde_json::json;
use tunnel_certs::statement::request::{Kind, Operation, Reason};
use tunnel_protos::ClusterName;

use crate::{
    access::{
        Gaining, advice, occasion,
        progress::{delivery_name, just_sent},
        report,
    },
    app::App,
    cli::{Order, Request, RequestAccess},
    desk::Desk,
    ending::Ending,
    failure::Failure,
    operate,
    requester::record::Record,
};

mod wanted;

#[cfg(test)]
pub(crate) use self::wanted::wanted;

pub(super) async fn run(app: &mut App, request: Request) -> Result<Ending, Failure> {
    let (cluster, order) = match &request {
        Request::Access(args) => return access(app, args).await,
        Request::Scale(args) => (&args.cluster, &args.order),
        Request::Upgrade(args) => (&args.cluster, &args.order),
        Request::Restart(args) => (&args.cluster, &args.order),
        Request::Configure(args) => (&args.cluster, &args.order),
        Request::Run(args) => (&args.cluster, &args.order),
        Request::Debug(args) => (&args.cluster, &args.order),
    };
    operation(app, cluster, order, wanted::wanted(&request)?).await
}

async fn access(app: &mut App, args: &RequestAccess) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let to = desk.entry(&args.cluster).await?;
    let record = Gaining::new(app, &desk, to, None).make(args.methods.clone(), &args.ask)?;
    hand_over(app, &desk, &record).await
}

async fn operation(
    app: &mut App,
    cluster: &ClusterName,
    order: &Order,
    operation: Operation,
) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let to = desk.entry(cluster).await?;
    let kind = Kind::Operation(Box::new(operation));
    let record = match order.expires {
        Some(life) => desk.requester.make_for(&to, kind, reason(order), life)?,
        None => desk.requester.make(&to, kind, reason(order))?,
    };
    report::submitted(app, &record);
    if order.no_wait {
        return hand_over(app, &desk, &record).await;
    }
    let mut gaining = Gaining::new(app, &desk, to, order.wait);
    operate::through(&mut gaining, record, operate::Until::Over).await
}

fn reason(order: &Order) -> Reason {
    let ticket = order.ticket.clone().unwrap_or_default();
    Reason { occasion: occasion(order.reason_type), text: order.reason.clone(), ticket }
}

/// Puts it into the mailbox, and says how to follow it.
async fn hand_over(app: &mut App, desk: &Desk, record: &Record) -> Result<Ending, Failure> {
    let delivery = desk.requester.submit(record).await?;
    let id = record.id.to_string();
    let value = json!({
        "event": "asked", "id": id, "words": record.words().to_string(), "expiresMs": record.expires.0,
        "brokerSays": delivery_name(delivery), "text": just_sent(delivery),
    });
    app.console.result(&value, &id);
    app.console.note(format_args!("broker says: {}", just_sent(delivery)));
    app.console.note(format_args!("  tunnelctl watch {id}"));
    if record.operation.is_none() {
        app.console.note(format_args!("  {}", advice::resume(record)));
    }
    Ok(Ending::OK)
}
