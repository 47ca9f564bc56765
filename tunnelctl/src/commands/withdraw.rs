//! `withdraw`: ends an own pending request or live grant, and removes its session keys.

use serde_json::json;
use tunnel_certs::statement::request::{Kind, Withdraw};
use tunnel_protos::GrantId;

use crate::{
    access::{again, report},
    app::App,
    cli,
    desk::Desk,
    ending::Ending,
    failure::Failure,
    requester::{
        Patience,
        wait::{Finish, Goal},
    },
};

pub(super) async fn run(app: &mut App, args: &cli::Withdraw) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let requester = &desk.requester;
    let record = requester.folder.record(args.id)?;
    let to = desk.entry(&record.cluster).await?;
    let mut asked = requester.make(&to, Kind::Withdraw(Withdraw { request: args.id }), again(&record))?;
    let patience = Patience::new(args.wait, app.interrupt.clone());
    let now = app.clock.now();
    let mut tell = |news| report::news(&mut app.console, &news, now);
    let finish = requester.ask(&mut asked, Goal::Done, &patience, &mut tell).await?;
    if !matches!(finish, Finish::Yes(_)) {
        return Ok(report::ended(app, &asked, &finish));
    }
    requester.folder.remove(args.id)?;
    desk.sessions.remove(GrantId::from(args.id))?;
    app.console.result(
        &json!({ "event": "withdrawn", "id": args.id.to_string() }),
        format_args!("withdrawn {}", args.id),
    );
    Ok(Ending::OK)
}
