//! `plan`, `start`, `cancel`, and `watch` of an operation: what its operator does with one that was asked for.

use std::{ops::ControlFlow, time::Duration};

use tunnel_protos::{RequestId, v1::RequestState};
use tunnel_runtime::exit::Exit;

use super::withdraw;
use crate::{
    access::{
        Gaining, Step, own,
        report::{self, Teller},
    },
    app::App,
    cli::{Cancel, ShowPlan, StartOperation},
    desk::Desk,
    ending::Ending,
    failure::Failure,
    operate::{self, Followed, Until},
    requester::{
        Patience,
        record::Record,
        wait::{Finish, Goal},
    },
};

/// `watch` of an operation.
pub(super) async fn watch(
    app: &mut App,
    desk: &Desk,
    id: RequestId,
    until: Until,
    wait: Option<Duration>,
) -> Result<Ending, Failure> {
    let record = own::operation(&desk.requester.folder, id, app.clock.now())?;
    let to = desk.entry(&record.cluster).await?;
    operate::through(&mut Gaining::new(app, desk, to, wait), record, until).await
}

pub(super) async fn plan(app: &mut App, args: &ShowPlan) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let record = own::named_operation(&desk.requester.folder, &args.id, app.clock.now())?;
    let to = desk.entry(&record.cluster).await?;
    // The plan travels inside sessions only, and there is one as soon as the customer has said yes.
    let mut gaining = Gaining::new(app, &desk, to, None);
    match operate::enter_within(&mut gaining, record, SHORT).await? {
        ControlFlow::Continue((_, _, operation)) => {
            operate::show(app, &operation);
            Ok(Ending::OK)
        }
        ControlFlow::Break(ending) => Ok(ending),
    }
}

pub(super) async fn start(app: &mut App, args: &StartOperation) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let record = own::named_operation(&desk.requester.folder, &args.id, app.clock.now())?;
    let to = desk.entry(&record.cluster).await?;
    let mut gaining = Gaining::new(app, &desk, to, args.wait);
    let (record, mut door) = match operate::enter(&mut gaining, record).await? {
        ControlFlow::Continue((record, door, _)) => (record, door),
        ControlFlow::Break(ending) => return Ok(ending),
    };
    let operation = door.start().await?;
    let followed = operate::follow(&mut gaining, &record, &mut door, operation).await?;
    Ok(operate::finish(app, &record, followed))
}

pub(super) async fn cancel(app: &mut App, args: &Cancel) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let record = own::named_operation(&desk.requester.folder, &args.id, app.clock.now())?;
    let to = desk.entry(&record.cluster).await?;
    let record = match standing(app, &desk, record).await? {
        ControlFlow::Continue(Some(record)) => record,
        ControlFlow::Continue(None) => {
            let patience = Patience::new(args.wait.unwrap_or(WITHDRAW), app.interrupt.clone());
            return withdraw::end(app, &args.id, &patience).await;
        }
        ControlFlow::Break(ending) => return Ok(ending),
    };
    let mut gaining = Gaining::new(app, &desk, to, args.wait);
    let (record, mut door) = match operate::enter(&mut gaining, record).await? {
        ControlFlow::Continue((record, door, _)) => (record, door),
        ControlFlow::Break(ending) => return Ok(ending),
    };
    let operation = door.cancel().await?;
    let followed = operate::follow(&mut gaining, &record, &mut door, operation).await?;
    let is_stopped = stopped(&followed);
    let ending = operate::finish(app, &record, followed);
    Ok(if is_stopped { Ending::OK } else { ending })
}

/// The request as the cluster sees it now: none while it is undecided, for then there is nothing to stop.
async fn standing(app: &mut App, desk: &Desk, mut record: Record) -> Result<Step<Option<Record>>, Failure> {
    if record.is_answered_yes() {
        return Ok(Step::Continue(Some(record)));
    }
    let patience = Patience::new(SHORT, app.interrupt.clone());
    let finish = {
        let mut teller = Teller::new(app);
        let mut tell = |news| teller.tell(&news);
        desk.requester.ask(&mut record, Goal::Grant, &patience, &mut tell).await?
    };
    Ok(match finish {
        Finish::Yes(_) => Step::Continue(Some(record)),
        Finish::StillWaiting { .. } => Step::Continue(None),
        other => Step::Break(report::ended(app, &record, &other)),
    })
}

/// Whether it ended as whoever cancels wants it to.
fn stopped(followed: &Followed) -> bool {
    match followed {
        Followed::Over(operation) => {
            matches!(operation.state(), RequestState::Cancelled | RequestState::RolledBack)
        }
        Followed::Told(told) => {
            told.exit == Exit::Failed && matches!(&*told.event, "cancelled" | "rolled-back")
        }
        Followed::Leaving => false,
    }
}

/// An online cluster has answered by then.
pub(super) const SHORT: Duration = Duration::from_secs(2);
/// As `withdraw` itself.
const WITHDRAW: Duration = Duration::from_secs(30);
