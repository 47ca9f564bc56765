//! `withdraw`: ends an own pending request or live grant, and removes its session keys.

use serde_json::json;
use tunnel_certs::statement::{
    outcome::Outcome,
    request::{Kind, Withdraw},
};
use tunnel_protos::{GrantId, v1::RequestState};

use crate::{
    access::{
        advice, again, own,
        report::{self, Teller},
    },
    app::App,
    cli::{self, RequestStart},
    desk::Desk,
    ending::Ending,
    failure::Failure,
    requester::{
        Patience,
        record::Record,
        wait::{Finish, Goal},
    },
};

pub(super) async fn run(app: &mut App, args: &cli::Withdraw) -> Result<Ending, Failure> {
    let patience = Patience::new(args.wait, app.interrupt.clone());
    end(app, &args.id, &patience).await
}

/// Ends the request or grant of this id.
pub(crate) async fn end(app: &mut App, start: &RequestStart, patience: &Patience) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let requester = &desk.requester;
    let id = requester.folder.named(start)?;
    let mut record = own::open(&requester.folder, id, app.clock.now())?;
    let was_granted = record.is_answered_yes();
    let to = desk.entry(&record.cluster).await?;
    let mut asked = requester.make(&to, Kind::Withdraw(Withdraw { request: id }), again(&record))?;
    let finish = {
        let mut teller = Teller::new(app);
        let mut tell = |news| teller.tell(&news);
        requester.ask(&mut asked, Goal::Done, patience, &mut tell).await?
    };
    match finish {
        Finish::Yes(_) => {}
        Finish::Denied(said) => return over(app, &desk, record, &said),
        other => return Ok(report::ended(app, &asked, &other)),
    }
    if let Some(answer) = &mut record.answer {
        answer.state = RequestState::Withdrawn;
        answer.reason.clear();
    }
    requester.folder.close(&record)?;
    desk.sessions.remove(GrantId::from(id))?;
    let value = json!({ "event": "withdrawn", "id": id.to_string(), "wasGranted": was_granted });
    let done = if was_granted { GRANT_ENDED } else { REQUEST_ENDED };
    app.console.result(&value, format_args!("withdrawn {id}: {done}"));
    Ok(Ending::OK)
}

const REQUEST_ENDED: &str = "nobody is asked for it any more";
const GRANT_ENDED: &str =
    "the grant has ended, its sessions are cut, and its keys are removed from this machine";

/// The cluster knows nothing of it that could be withdrawn: what this machine still has of it goes.
fn over(app: &mut App, desk: &Desk, mut record: Record, said: &Outcome) -> Result<Ending, Failure> {
    if let Some(answer) = &mut record.answer {
        answer.state = RequestState::Ended;
        answer.reason.clear();
    }
    desk.requester.folder.close(&record)?;
    desk.sessions.remove(GrantId::from(record.id))?;
    Ok(report::say(app, &record, advice::nothing_to_withdraw(said)))
}
