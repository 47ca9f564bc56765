//! What ends or changes a session from outside: the grant's end, a pause, a new policy, a drain.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tunnel_protos::UnixMillis;
use tunnel_runtime::drain;

use super::{
    Clock,
    grants::{GrantRef, Life, Over},
};
use crate::{
    policy::{Policy, Streams},
    requests::{Pause, PauseState},
};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The grant is over: cut everything now.
    GrantOver(Over),
    /// The certificate of the session ended, and by the policy its calls end with it.
    CertificateOver,
    /// The customer paused: cut everything now.
    Paused {
        /// When.
        since: UnixMillis,
        /// Why, for operators; may be empty.
        note: String,
    },
    /// The policy changed: look whether open calls still pass.
    NewPolicy,
    /// Finish what runs, take nothing new.
    Drain,
    /// The grace is over: cut everything now.
    Cut,
}

/// Follows everything that a session must react to.
#[derive(Debug)]
pub(super) struct Signals {
    grant: Option<GrantRef>,
    /// Until it has ended, and only if it was valid when the session began.
    certificate_end: Option<UnixMillis>,
    paused: PauseState,
    was_paused: bool,
    policy: watch::Receiver<Arc<Policy>>,
    drain: drain::Watch,
    draining: bool,
    clock: Clock,
}

impl Signals {
    /// A grant that is over already is not watched, nor a certificate that has ended, nor a pause in force: sessions
    /// live on to say so.
    pub(super) fn new(
        (grant, certificate_end): (&GrantRef, UnixMillis),
        paused: PauseState,
        policy: watch::Receiver<Arc<Policy>>,
        drain: drain::Watch,
        clock: Clock,
    ) -> Self {
        let live = !matches!(grant.life(), Life::Over(_)) && !is_past(grant.life(), clock.now());
        let was_paused = paused.borrow().is_some();
        let certificate_end = (certificate_end > clock.now()).then_some(certificate_end);
        let grant = live.then(|| grant.clone());
        Self { grant, certificate_end, paused, was_paused, policy, drain, draining: false, clock }
    }

    /// The next event; none is lost between two calls.
    pub(super) async fn next(&mut self) -> Event {
        let (drain, draining) = (self.drain.clone(), self.draining);
        let grant = self.grant.clone();
        let clock = self.clock.clone();
        let ends_calls = self.policy.borrow().streams() == Streams::UntilCertificateExpires;
        let certificate_end = self.certificate_end.filter(|_| ends_calls).map(|end| (end, clock.clone()));
        tokio::select! {
            biased;
            over = or_never(grant, |grant| async move { over(&grant, &clock).await }) => {
                self.grant = None;
                Event::GrantOver(over)
            }
            () = or_never(certificate_end, |(end, clock)| is_reached(end, clock)) => {
                self.certificate_end = None;
                Event::CertificateOver
            }
            paused = pause(&mut self.paused, &mut self.was_paused) => paused.unwrap_or(Event::Cut),
            () = drain.cut() => Event::Cut,
            () = drain.draining(), if !draining => {
                self.draining = true;
                Event::Drain
            }
            changed = self.policy.changed() => match changed {
                Ok(()) => Event::NewPolicy,
                // Whoever decides about the policy is gone: nothing may go on.
                Err(_) => Event::Cut,
            },
        }
    }
}

/// Resolves when the grant is over, by word or by the clock.
async fn over(grant: &GrantRef, clock: &Clock) -> Over {
    let mut life = grant.watch();
    loop {
        let now = *life.borrow_and_update();
        match now {
            Life::Over(over) => return over,
            Life::Active { .. } if is_past(now, clock.now()) => return Over::Ended,
            Life::Active { until } => {
                let left = until.since(clock.now()).min(LONGEST_SLEEP);
                tokio::select! {
                    () = sleep(left) => {}
                    _ = life.changed() => {}
                }
            }
            Life::Waiting => {
                let _ = life.changed().await;
            }
        }
    }
}

/// Resolves at `end`.
async fn is_reached(end: UnixMillis, clock: Clock) {
    while end > clock.now() {
        sleep(end.since(clock.now()).min(LONGEST_SLEEP)).await;
    }
}

/// Resolves when a pause begins; none if nobody is left to say so. `was` is kept between two calls.
async fn pause(state: &mut PauseState, was: &mut bool) -> Option<Event> {
    let event = |pause: &Pause| Event::Paused { since: pause.since, note: pause.told().to_owned() };
    loop {
        let now = state.borrow_and_update().as_ref().map(event);
        let is_paused = now.is_some();
        let began = now.filter(|_| !*was);
        *was = is_paused;
        if began.is_some() {
            return began;
        }
        state.changed().await.ok()?;
    }
}

fn is_past(life: Life, now: UnixMillis) -> bool {
    matches!(life, Life::Active { until } if until <= now)
}

async fn or_never<T, F: Future>(input: Option<T>, run: impl FnOnce(T) -> F) -> F::Output {
    match input {
        Some(input) => run(input).await,
        None => std::future::pending().await,
    }
}

/// The wall clock may be set while we sleep on the monotonic one.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
