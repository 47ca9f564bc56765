//! A session kept in use: its certificate renewed in the same files until the grant is over, told at once when the
//! customer ends it. A broker that restarts is waited for.
//!
//! Time is the wall clock, looked at each second: a laptop that slept must not trust a timer.

use std::time::Duration;

use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tunnel_certs::{crypto, renew};
use tunnel_protos::{UnixMillis, time::lasting, v1::RequestState};
use tunnel_runtime::chain::chain;

use super::{
    Gaining,
    advice::{self, Told},
    report,
};
use crate::{
    app::App,
    console::{Format, safe, when},
    desk::Desk,
    ending::Ending,
    failure::Failure,
    requester::{
        Answered, Patience, Requester, interrupt,
        record::Record,
        wait::{Finish, Goal},
    },
    session::Session,
};

/// What goes on beside the keeping: a proxy that follows the session and has something to say.
pub(crate) struct Beside {
    /// The session as it is now.
    pub(crate) session: watch::Sender<Session>,
    /// What connections say.
    pub(crate) notes: mpsc::Receiver<String>,
    /// What the live line begins with.
    pub(crate) title: Box<dyn Fn() -> String + Send>,
}

impl Beside {
    /// Nothing goes on.
    pub(crate) fn nothing(session: &Session) -> Self {
        let (_, notes) = mpsc::channel(1);
        Self { session: watch::Sender::new(session.clone()), notes, title: Box::new(|| "kept".into()) }
    }
}

/// A session that is kept.
pub(crate) struct Keeping {
    record: Record,
    session: Session,
    renew_at: UnixMillis,
    failures: u32,
}

/// Why the keeping ended.
#[derive(Debug)]
pub(crate) enum Kept {
    /// The person stopped it; the grant goes on.
    Stopped,
    /// The grant is over.
    Over(Box<Told>),
}

/// Why one round of keeping ended.
enum Round {
    Renew,
    Kept(Kept),
}

impl Keeping {
    /// Keeps `session` under the grant of `record`; its certificate was issued just now.
    pub(crate) fn new(record: Record, session: Session, now: UnixMillis) -> Self {
        let renew_at = next_renewal(&session, now);
        Self { record, session, renew_at, failures: 0 }
    }

    /// Keeps until the grant is over or the person stops.
    pub(crate) async fn run(&mut self, app: &mut App, beside: &mut Beside) -> Result<Kept, Failure> {
        loop {
            let kept = match self.round(app, beside).await {
                Round::Kept(kept) => kept,
                Round::Renew => {
                    self.renew(app, beside).await;
                    continue;
                }
            };
            app.console.settle();
            if matches!(kept, Kept::Over(_)) {
                self.session.erase()?;
            }
            return Ok(kept);
        }
    }

    /// Waits for the next renewal, or for whatever comes before it.
    async fn round(&mut self, app: &mut App, beside: &mut Beside) -> Round {
        let desk = Desk::open(app).ok();
        let watching = async {
            match &desk {
                Some(desk) => ending(&desk.requester, self.record.clone()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(watching);
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = app.interrupt.clone();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Round::Kept(Kept::Stopped),
                told = &mut watching => return Round::Kept(Kept::Over(Box::new(told))),
                Some(note) = beside.notes.recv() => app.console.note(note),
                _ = seconds.tick() => if let Some(round) = self.look(app, beside) { return round },
            }
        }
    }

    /// What the time says.
    fn look(&self, app: &mut App, beside: &Beside) -> Option<Round> {
        let now = app.clock.now();
        if now >= self.session.until {
            let told = advice::over(&self.record, RequestState::Ended, "", "");
            return Some(Round::Kept(Kept::Over(Box::new(told))));
        }
        let next = when::short(self.renew_at, now);
        let left = lasting(self.session.until.since(now));
        let end = when::short(self.session.until, now);
        app.console
            .live(&format!("{} · next certificate {next} · grant ends {end}, in {left}", (beside.title)()));
        (now >= self.renew_at).then_some(Round::Renew)
    }

    /// One attempt; after a failed one the next comes a little later.
    async fn renew(&mut self, app: &mut App, beside: &mut Beside) {
        let renewed = self.certificate(app).await;
        let now = app.clock.now();
        match renewed {
            Ok(session) => {
                self.renew_at = next_renewal(&session, now);
                self.failures = 0;
                self.session = session;
                beside.session.send_replace(self.session.clone());
                self.tell(app, "renewed", "certificate renewed");
            }
            Err(problem) => {
                self.renew_at = now.plus(pause(self.failures));
                self.failures = self.failures.saturating_add(1);
                if self.failures == 1 {
                    self.tell(
                        app,
                        "not-renewed",
                        &format!("the certificate is not renewed yet: {problem}; trying again"),
                    );
                }
            }
        }
    }

    async fn certificate(&self, app: &mut App) -> Result<Session, String> {
        let text = |failure: Failure| chain(&failure).to_string();
        let desk = Desk::open(app).map_err(text)?;
        let to = desk.entry(&self.record.cluster).await.map_err(text)?;
        let mut gaining = Gaining::new(app, &desk, to, None);
        match gaining.certificate(&self.record, &self.session.folder).await.map_err(text)? {
            Answered::Certificate(certified) => {
                let folder = self.session.folder.clone();
                gaining.establish(self.record.id, &certified, folder).await.map_err(text)
            }
            Answered::No(finish) => Err(advice::of(&self.record, &finish).text),
        }
    }

    fn tell(&self, app: &mut App, event: &str, text: &str) {
        let until = self.session.certificate_until;
        if app.console.format() == Format::Json {
            let value = json!({ "event": event, "message": text, "certificateUntilMs": until.0 });
            app.console.json(&value);
        }
        let until = when::short(until, app.clock.now());
        app.console.note(format_args!("{}; the present one lasts until {until}", safe(text)));
    }

    /// Says how it ended; a grant that goes on is said to.
    pub(crate) async fn end(self, app: &mut App, kept: Kept, withdraw: Withdraw) -> Result<Ending, Failure> {
        match (kept, withdraw) {
            (Kept::Over(told), _) => Ok(report::say(app, &self.record, *told)),
            (Kept::Stopped, Withdraw::No) => Ok(self.leave(app)),
            (Kept::Stopped, Withdraw::Yes) => {
                let patience = Patience::new(WITHDRAW_TIME, interrupt(Box::pin(std::future::pending())));
                let ending = crate::commands::withdraw::end(app, &self.record.id.into(), &patience).await?;
                self.session.erase()?;
                Ok(ending)
            }
        }
    }

    fn leave(&self, app: &mut App) -> Ending {
        let until = when::until(self.session.until, app.clock.now());
        let (resume, id) = (advice::resume(&self.record), self.record.id);
        if app.console.format() == Format::Json {
            let value =
                json!({ "event": "stopped", "grant": id.to_string(), "untilMs": self.session.until.0 });
            app.console.json(&value);
        }
        app.console.note(format_args!("stopped; the grant goes on until {until}"));
        app.console.note(format_args!("  {resume}\n  tunnelctl withdraw {id}"));
        Ending::OK
    }
}

/// Whether the grant ends with the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withdraw {
    Yes,
    No,
}

impl Withdraw {
    /// As the flag says.
    pub(crate) const fn when(asked: bool) -> Self {
        if asked { Self::Yes } else { Self::No }
    }
}

/// Waits until the cluster says that the grant is over; trouble with the broker is no such word.
pub(crate) async fn ending(requester: &Requester, mut record: Record) -> Told {
    let patience = Patience::new(FOREVER, interrupt(Box::pin(std::future::pending())));
    match requester.ask(&mut record, Goal::End, &patience, &mut |_| {}).await {
        Ok(finish @ (Finish::Over(_) | Finish::Denied(_))) => over(&record, &finish),
        _ => std::future::pending().await,
    }
}

/// What the cluster last said of a grant that seems to be over; none if it says nothing of the kind now.
pub(crate) async fn verdict(desk: &Desk, record: &Record) -> Option<Told> {
    timeout(VERDICT_TIME, ending(&desk.requester, record.clone())).await.ok()
}

fn over(record: &Record, finish: &Finish) -> Told {
    match finish {
        Finish::Over(said) | Finish::Denied(said) => {
            advice::over(record, said.state, &said.reason, &said.rule)
        }
        other => advice::of(record, other),
    }
}

/// A certificate that lasts as long as its grant needs no other.
fn next_renewal(session: &Session, now: UnixMillis) -> UnixMillis {
    if session.until.since(session.certificate_until) <= SECOND {
        session.until
    } else {
        renew::due(now, session.certificate_until, u64::from_ne_bytes(crypto::random()))
    }
}

/// After the first failure soon, then half a minute apart: a pause of the customer's may take long.
fn pause(failures: u32) -> Duration {
    LONGEST_PAUSE.min(SECOND * 2_u32.saturating_pow(failures))
}

const SECOND: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longer than any grant.
const FOREVER: Duration = Duration::from_secs(24 * 3600);
/// The mailbox has it, or it does not.
const VERDICT_TIME: Duration = Duration::from_secs(3);
/// A person who pressed Ctrl-C waits no longer.
const WITHDRAW_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_certificate_of_a_grant_is_not_renewed() {
        let mut session = crate::session::sample("/run/p", None);
        assert!(next_renewal(&session, UnixMillis(0)) < session.certificate_until);
        session.certificate_until = session.until;
        assert_eq!(next_renewal(&session, UnixMillis(0)), session.until);
    }

    #[test]
    fn failed_renewals_come_further_and_further_apart() {
        let pauses = [0, 1, 4, 5, 99].map(|failures| pause(failures).as_secs());
        assert_eq!(pauses, [1, 2, 16, 30, 30]);
    }
}
