//! Getting access: request, answer, certificate, one proven handshake. Used by `connect`, `call` and `proxy`.

use std::{ops::ControlFlow, path::PathBuf, time::Duration};

use tunnel_certs::statement::{
    inventory::Entry,
    request::{self, Kind, Occasion, Reason},
};
use tunnel_protos::{
    GrantId, MethodPattern, PersonText, RequestId, TargetName, time::lasting, v1::RequestState,
};

use self::report::Teller;
use crate::{
    app::App,
    cli::{self, Access, Ask},
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

pub(crate) mod advice;
pub(crate) mod keep;
pub(crate) mod own;
pub(crate) mod progress;
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
    /// What `--wait` leaves of all waiting; none without it.
    bound: Option<Patience>,
}

impl<'a> Gaining<'a> {
    /// Gets access to the cluster of a verified entry; all waiting together takes at most `wait`.
    pub(crate) fn new(app: &'a mut App, desk: &'a Desk, to: Entry, wait: Option<Duration>) -> Self {
        let bound = wait.map(|wait| Patience::new(wait, app.interrupt.clone()));
        Self { app, desk, to, bound }
    }
}

impl Gaining<'_> {
    /// The request that the command line means, granted.
    pub(crate) async fn access(&mut self, args: &Access) -> Result<Step<Record>, Failure> {
        let now = self.app.clock.now();
        let open = self.desk.requester.folder.open(now)?;
        let own = match &args.resume {
            Some(start) => Some(self.desk.requester.folder.named(start)?),
            None if args.methods.is_empty() => Some(own::newest(&open, &args.cluster, now)?),
            None if args.anew => None,
            None => own::undecided(&open, &args.cluster, &args.methods, &targets(&args.ask), now),
        };
        match own {
            Some(id) => self.resume(id).await,
            None => self.request(args.methods.clone(), &args.ask).await,
        }
    }

    /// Makes a request, and keeps it; nothing leaves yet.
    pub(crate) fn make(&mut self, methods: Vec<MethodPattern>, ask: &Ask) -> Result<Record, Failure> {
        let reason = reason(ask)?;
        let access = request::Access { methods, targets: targets(ask), raw: ask.raw, wanted: ask.wanted };
        let record = self.desk.requester.make(&self.to, Kind::Access(access), reason)?;
        report::submitted(self.app, &record);
        Ok(record)
    }

    /// Writes the files of a session with an operation and proves its door; what is remembered of the request stays, for
    /// the operation goes on by itself.
    pub(crate) async fn operation_session(
        &mut self,
        record: &Record,
        certified: &Certified,
        folder: PathBuf,
    ) -> Result<Session, Failure> {
        let (place, methods) = (self.desk.place(&self.to), granted(record));
        let session = Session::new(folder, place, record.id.into(), certified, methods);
        session.save(certified)?;
        self.prove(&session).await?;
        Ok(session)
    }

    /// Asks for methods and waits for the answer.
    pub(crate) async fn request(
        &mut self,
        methods: Vec<MethodPattern>,
        ask: &Ask,
    ) -> Result<Step<Record>, Failure> {
        let record = self.make(methods, ask)?;
        self.decided(record).await
    }

    /// Goes on with an open request of this machine.
    pub(crate) async fn resume(&mut self, id: RequestId) -> Result<Step<Record>, Failure> {
        let record = own::open(&self.desk.requester.folder, id, self.app.clock.now())?;
        if record.cluster != self.to.cluster {
            return Err(Failure::Usage(format!("request {id} is for {}", record.cluster)));
        }
        if record.is_granted(self.desk.clock.now()) {
            return Ok(Step::Continue(record));
        }
        self.app.console.note(format_args!("going on with request {id}"));
        self.app.console.note(format_args!("words   {}", record.words()));
        self.decided(record).await
    }

    /// Gets a certificate under a granted request, writes the session's files and proves each door.
    pub(crate) async fn session(
        &mut self,
        record: &Record,
        out: Option<PathBuf>,
    ) -> Result<Step<Session>, Failure> {
        let folder = out.unwrap_or_else(|| self.desk.sessions.folder(record.id.into()));
        match self.certificate(record, &folder).await? {
            Answered::Certificate(certified) => {
                Ok(Step::Continue(self.establish(record.id, &certified, folder).await?))
            }
            Answered::No(finish) => {
                self.doubt(record.clone(), &finish)?;
                Ok(Step::Break(self.refused(record, &finish).await))
            }
        }
    }

    /// Asks for a certificate for the session in `folder`.
    pub(crate) async fn certificate(
        &mut self,
        record: &Record,
        folder: &std::path::Path,
    ) -> Result<Answered, Failure> {
        let grant = GrantId::from(record.id);
        let key = Session::key(folder, grant)?;
        let (patience, reason) = (self.patience(CERTIFICATE_TIME), again(record));
        let (requester, to) = (&self.desk.requester, &self.to);
        let mut teller = Teller::new(self.app);
        let mut tell = |news| teller.tell(&news);
        Ok(requester.certificate(to, grant, key, &reason, &patience, &mut tell).await?)
    }

    /// Writes the files of a session and proves its doors.
    pub(crate) async fn establish(
        &mut self,
        id: RequestId,
        certified: &Certified,
        folder: PathBuf,
    ) -> Result<Session, Failure> {
        // The newest on disk: whoever watched beside this may have heard more since.
        let record = own::open(&self.desk.requester.folder, id, self.app.clock.now())?;
        let (place, methods) = (self.desk.place(&self.to), granted(&record));
        let session = Session::new(folder, place, id.into(), certified, methods);
        session.save(certified)?;
        self.shortened(&record, &session);
        self.activate(record, &session)?;
        self.prove(&session).await?;
        Ok(session)
    }

    /// Waits for the customer's yes.
    async fn decided(&mut self, record: Record) -> Result<Step<Record>, Failure> {
        let left = record.expires.since(self.desk.clock.now());
        self.decided_within(record, left).await
    }

    /// Waits so long for the customer's yes.
    pub(crate) async fn decided_within(
        &mut self,
        mut record: Record,
        time: Duration,
    ) -> Result<Step<Record>, Failure> {
        let patience = self.patience(time);
        let finish = {
            let requester = &self.desk.requester;
            let mut teller = Teller::new(self.app);
            let mut tell = |news| teller.tell(&news);
            requester.ask(&mut record, Goal::Grant, &patience, &mut tell).await?
        };
        Ok(match finish {
            Finish::Yes(_) => Step::Continue(record),
            other => Step::Break(report::ended(self.app, &record, &other)),
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

    /// A certificate that is refused says little: the grant's own last word, if it is over, says why.
    async fn refused(&mut self, record: &Record, finish: &Finish) -> Ending {
        let verdict = match finish {
            Finish::Denied(_) => keep::verdict(self.desk, record).await,
            _ => None,
        };
        match verdict {
            Some(told) => report::say(self.app, record, told),
            None => report::ended(self.app, record, finish),
        }
    }

    /// The policy's longest time, where more was asked for; said once, with the first certificate.
    fn shortened(&mut self, record: &Record, session: &Session) {
        let given = session.until.since(self.app.clock.now());
        let is_first = record.answer.as_ref().is_some_and(|answer| answer.state == RequestState::Approved);
        if is_first && record.wanted > given + SLACK {
            self.app.console.note(format_args!(
                "you asked for {}; the customer's policy gives {} at most",
                lasting(record.wanted),
                lasting(minutes(given))
            ));
        }
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
                self.app.console.live(&format!("connecting to {target} end to end"));
                let proven = line.prove().await;
                self.app.console.settle();
                let (cluster, grant) = (session.cluster.clone(), session.grant);
                proven.map_err(|source| Failure::Unproven { cluster, grant, source })?;
            }
        }
        Ok(())
    }

    /// What waiting may take, within all that the command may.
    pub(crate) fn patience(&self, time: Duration) -> Patience {
        match &self.bound {
            Some(bound) => bound.at_most(time),
            None => Patience::new(time, self.app.interrupt.clone()),
        }
    }
}

/// The targets asked for; most clusters have just one.
pub(crate) fn targets(ask: &Ask) -> Vec<TargetName> {
    if ask.targets.is_empty() { vec![TargetName::default_target()] } else { ask.targets.clone() }
}

fn reason(ask: &Ask) -> Result<Reason, Failure> {
    let missing = || Failure::Usage("access needs a reason: --reason 'why you need it'".into());
    let text = ask.reason.clone().ok_or_else(missing)?;
    Ok(Reason { occasion: occasion(ask.reason_type), text, ticket: ask.ticket.clone().unwrap_or_default() })
}

/// The occasion as requests name it.
pub(crate) const fn occasion(said: cli::Occasion) -> Occasion {
    match said {
        cli::Occasion::Incident => Occasion::Incident,
        cli::Occasion::Change => Occasion::Change,
        cli::Occasion::Support => Occasion::Support,
        cli::Occasion::Other => Occasion::Other,
    }
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

/// To the nearest minute: policies count in minutes, and a moment has gone by.
fn minutes(time: Duration) -> Duration {
    Duration::from_secs((time.as_secs() + 30) / 60 * 60)
}

pub(crate) use go_on;

/// What goes by between the cluster's word and its reading here.
const SLACK: Duration = Duration::from_secs(60);
/// Certificates need no person; longer means that the cluster went away.
const CERTIFICATE_TIME: Duration = Duration::from_secs(60);
