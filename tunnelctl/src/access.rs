//! Getting access: request, answer, certificate, one proven handshake. Used by `connect` and by `call`.

use std::{ops::ControlFlow, path::PathBuf, time::Duration};

use tunnel_certs::statement::{
    inventory::Entry,
    request::{Access, Kind, Occasion, Reason},
};
use tunnel_protos::{GrantId, MethodPattern, PersonText, RequestId, TargetName, v1::RequestState};

use crate::{
    app::App,
    cli::{self, Ask},
    desk::Desk,
    ending::Ending,
    failure::Failure,
    requester::{
        Answered, Certified, Patience,
        record::Record,
        wait::{Finish, Goal},
    },
    session::Session,
};

pub(crate) mod report;

/// A step that gives a value, or the end of the command by the cluster's answer.
pub(crate) type Step<T> = ControlFlow<Ending, T>;

/// Continues with the value of a step, or returns its ending.
macro_rules! go_on {
    ($step:expr) => {
        match $step {
            std::ops::ControlFlow::Continue(value) => value,
            std::ops::ControlFlow::Break(ending) => return Ok(std::ops::ControlFlow::Break(ending)),
        }
    };
}

/// An operator getting access to one cluster.
pub(crate) struct Gaining<'a> {
    pub(crate) app: &'a mut App,
    pub(crate) desk: &'a Desk,
    pub(crate) to: Entry,
}

impl Gaining<'_> {
    /// Asks for methods and waits for the answer.
    pub(crate) async fn request(
        &mut self,
        methods: Vec<MethodPattern>,
        ask: &Ask,
    ) -> Result<Step<Record>, Failure> {
        let reason = reason(ask)?;
        let access = Access { methods, targets: targets(ask), raw: ask.raw, wanted: ask.wanted };
        let record = self.desk.requester.make(&self.to, Kind::Access(access), reason)?;
        report::submitted(self.app, &record);
        self.wait(record, ask.wait).await
    }

    /// Goes on with an open request of this machine.
    pub(crate) async fn resume(
        &mut self,
        id: RequestId,
        wait: Option<Duration>,
    ) -> Result<Step<Record>, Failure> {
        let record = self.desk.requester.folder.record(id)?;
        if record.cluster != self.to.cluster {
            return Err(Failure::Usage(format!("request {id} is for {}", record.cluster)));
        }
        if record.is_granted(self.desk.clock.now()) {
            return Ok(Step::Continue(record));
        }
        self.wait(record, wait).await
    }

    /// Gets a certificate under a granted request, writes the session's files and proves each door.
    pub(crate) async fn session(
        &mut self,
        record: Record,
        out: Option<PathBuf>,
    ) -> Result<Step<Session>, Failure> {
        let grant = GrantId::from(record.id);
        let certified = go_on!(self.certificate(&record, grant).await?);
        let folder = out.unwrap_or_else(|| self.desk.sessions.folder(grant));
        let methods = granted(&record);
        let session = Session::new(folder, self.desk.place(&self.to), grant, &certified, methods);
        session.save(&certified)?;
        self.activate(record, &session)?;
        self.prove(&session).await?;
        Ok(Step::Continue(session))
    }

    async fn wait(&mut self, mut record: Record, wait: Option<Duration>) -> Result<Step<Record>, Failure> {
        let now = self.desk.clock.now();
        let patience = self.patience(wait.unwrap_or_else(|| record.expires.since(now)));
        let app = &mut *self.app;
        let mut tell = |news| report::news(&mut app.console, &news, now);
        let finish = self.desk.requester.ask(&mut record, Goal::Grant, &patience, &mut tell).await?;
        Ok(match finish {
            Finish::Yes(_) => Step::Continue(record),
            other => Step::Break(report::ended(self.app, &record, &other)),
        })
    }

    async fn certificate(
        &mut self,
        record: &Record,
        grant: GrantId,
    ) -> Result<Step<Box<Certified>>, Failure> {
        self.app.console.progress("granted; getting a certificate");
        let (now, patience) = (self.desk.clock.now(), self.patience(CERTIFICATE_TIME));
        let reason = again(record);
        let app = &mut *self.app;
        let mut tell = |news| report::news(&mut app.console, &news, now);
        let answered =
            self.desk.requester.certificate(&self.to, grant, &reason, &patience, &mut tell).await?;
        Ok(match answered {
            Answered::Certificate(certified) => Step::Continue(certified),
            Answered::No(finish) => {
                self.doubt(record.clone(), &finish)?;
                Step::Break(report::ended(self.app, record, &finish))
            }
        })
    }

    /// After a no, `call` asks for access anew; `connect --resume` may still try, since a pause ends, too.
    fn doubt(&self, mut record: Record, finish: &Finish) -> Result<(), Failure> {
        if let (Finish::Denied(_), Some(answer)) = (finish, &mut record.answer) {
            answer.live = false;
            self.desk.requester.folder.update(&record)?;
        }
        Ok(())
    }

    /// The first certificate made the grant active; the cluster's own word of it goes to whoever watches.
    fn activate(&self, mut record: Record, session: &Session) -> Result<(), Failure> {
        if let Some(answer) = &mut record.answer {
            answer.state = RequestState::Active;
            answer.until = session.until;
            answer.live = true;
        }
        Ok(self.desk.requester.folder.update(&record)?)
    }

    async fn prove(&mut self, session: &Session) -> Result<(), Failure> {
        for target in session.doors.keys() {
            if let Some(line) = session.line(target)? {
                self.app.console.progress(format_args!("connecting to {target} end to end"));
                line.prove().await.map_err(|source| Failure::Unproven { grant: session.grant, source })?;
            }
        }
        Ok(())
    }

    fn patience(&self, time: Duration) -> Patience {
        Patience::new(time, self.app.interrupt.clone())
    }
}

/// The targets asked for; most clusters have just one.
pub(crate) fn targets(ask: &Ask) -> Vec<TargetName> {
    if ask.targets.is_empty() { vec![TargetName::default_target()] } else { ask.targets.clone() }
}

fn reason(ask: &Ask) -> Result<Reason, Failure> {
    let missing = || Failure::Usage("access needs a reason: --reason 'why you need it'".into());
    let text = ask.reason.clone().ok_or_else(missing)?;
    let occasion = match ask.reason_type {
        cli::Occasion::Incident => Occasion::Incident,
        cli::Occasion::Change => Occasion::Change,
        cli::Occasion::Support => Occasion::Support,
        cli::Occasion::Other => Occasion::Other,
    };
    Ok(Reason { occasion, text, ticket: ask.ticket.clone().unwrap_or_default() })
}

/// The grant's own reason, for its certificate.
pub(crate) fn again(record: &Record) -> Reason {
    let text = record.reason.parse().unwrap_or_default();
    Reason { occasion: Occasion::Other, text, ticket: PersonText::default() }
}

fn granted(record: &Record) -> Vec<MethodPattern> {
    let methods = record.answer.iter().flat_map(|answer| &answer.granted);
    methods.filter_map(|method| method.parse().ok()).collect()
}

/// Certificates need no person; longer means that the cluster went away.
const CERTIFICATE_TIME: Duration = Duration::from_secs(60);
