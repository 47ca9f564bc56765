//! What the gate shows of itself in TLS, and whom it takes: made anew when a CA, the suffix or time demands it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};
use tunnel_certs::{
    issue::{GATE_SERVER_LIFE, IssueError},
    roots::RootsError,
    tls::{GateTls, TlsError},
    verify::GrantVerifier,
};
use tunnel_protos::{Label, Suffix, UnixMillis};
use tunnel_runtime::chain;

use crate::{
    clock::Clock,
    trust::{AccessCas, Belief},
};

/// Why there is no TLS identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The access CA did not issue.
    #[error("the gate's certificate")]
    Issue(#[source] IssueError),
    /// The access CA is no anchor.
    #[error("the access CA")]
    Roots(#[source] RootsError),
    /// The configuration could not be built.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The gate's server certificate, renewed before its end; its key is in memory only.
#[derive(Debug)]
pub(super) struct GateIdentity {
    access: watch::Receiver<Arc<AccessCas>>,
    belief: watch::Receiver<Arc<Belief>>,
    label: Label,
    suffix: Suffix,
    clock: Clock,
    published: watch::Sender<Arc<GateTls>>,
}

impl GateIdentity {
    pub(super) fn new(
        access: watch::Receiver<Arc<AccessCas>>,
        belief: watch::Receiver<Arc<Belief>>,
        label: Label,
        clock: Clock,
    ) -> Result<Self, IdentityError> {
        let suffix = belief.borrow().bundle.suffix.clone();
        let first = issue(&access.borrow(), &label, &suffix, clock.now())?;
        Ok(Self { access, belief, label, suffix, clock, published: watch::Sender::new(Arc::new(first)) })
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<GateTls>> {
        self.published.subscribe()
    }

    /// Renews at two thirds of the life, and when what it is made of changes; on failure the old one stays and the
    /// next try comes soon. Sessions that are open do not notice.
    pub(super) async fn renew(mut self) {
        // A moment and not a pause: what changes beside it must not put it off.
        let mut due = Instant::now() + self.pause();
        loop {
            tokio::select! {
                () = sleep_until(due) => {}
                Ok(()) = self.access.changed() => {}
                Ok(()) = self.belief.changed() => {
                    if !self.takes_suffix() {
                        continue;
                    }
                }
            }
            due = Instant::now() + self.replace();
        }
    }

    fn takes_suffix(&mut self) -> bool {
        let suffix = self.belief.borrow_and_update().bundle.suffix.clone();
        std::mem::replace(&mut self.suffix, suffix.clone()) != suffix
    }

    fn replace(&mut self) -> Duration {
        let cas = self.access.borrow_and_update().clone();
        match issue(&cas, &self.label, &self.suffix, self.clock.now()) {
            Ok(renewed) => {
                info!("Gate certificate renewed");
                self.published.send_replace(Arc::new(renewed));
                self.pause()
            }
            Err(error) => {
                warn!(error = %chain(&error), "Gate certificate not renewed");
                RETRY
            }
        }
    }

    /// Until the certificate is to be renewed, or a CA's time is over.
    fn pause(&self) -> Duration {
        let now = self.clock.now();
        let change = self.access.borrow().next_change(now).map(|at| at.since(now).max(LEAST));
        change.unwrap_or(Duration::MAX).min(GATE_SERVER_LIFE * 2 / 3)
    }
}

fn issue(cas: &AccessCas, label: &Label, suffix: &Suffix, now: UnixMillis) -> Result<GateTls, IdentityError> {
    let server = cas.gate_issuer(now).issue_gate_server(label, suffix, now).map_err(IdentityError::Issue)?;
    let roots = cas.roots(now).map_err(IdentityError::Roots)?;
    Ok(GateTls::new(&server, GrantVerifier::new(*label, roots)))
}

/// There are eight hours left for it.
const RETRY: Duration = Duration::from_secs(60);
/// A CA whose time is just over must not make this spin.
const LEAST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use tracing::Span;
    use tunnel_certs::issue::CaKind;
    use tunnel_runtime::tasks::Task;

    use super::*;
    use crate::{
        clock::{SystemWall, wall},
        trust::testing::{HOUR, Stage, ca, label},
    };

    #[tokio::test(start_paused = true)]
    async fn a_certificate_is_renewed_in_time_however_often_the_belief_changes() {
        let believed = Stage::new().open().trust.belief().borrow().clone();
        let belief = watch::Sender::new(believed);
        let access = watch::Sender::new(Arc::new(AccessCas::new(Arc::new(ca(CaKind::Access)))));
        let clock = Clock::new(SystemWall, wall());
        let gate = GateIdentity::new(access.subscribe(), belief.subscribe(), label(), clock).unwrap();
        let shown = gate.subscribe();
        let _renewing = Task::spawn(Span::none(), gate.renew());
        for _ in 0..GATE_SERVER_LIFE.as_secs() / HOUR.as_secs() {
            tokio::task::yield_now().await;
            belief.send_modify(|_| ());
            advance(HOUR).await;
        }
        tokio::task::yield_now().await;
        assert!(shown.has_changed().unwrap(), "it would have run out");
    }
}
