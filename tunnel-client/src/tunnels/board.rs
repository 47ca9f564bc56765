//! What each tunnel is doing, for people and readiness.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tunnel_protos::approvers::TunnelStatus;

use super::metrics;
use crate::clock;

/// What a tunnel is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Resolving, dialing, attaching.
    Dialing,
    /// Routable, by this side's lights.
    Attached {
        /// Who the broker says it is.
        broker: String,
    },
    /// The broker, or this side, is going away.
    Draining,
    /// Pausing before the next dial.
    Waiting {
        /// What went wrong.
        error: String,
    },
}

/// One line for each tunnel; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Board {
    lines: Arc<Mutex<Vec<TunnelStatus>>>,
    attached: watch::Sender<usize>,
}

impl Board {
    pub(super) fn new(count: usize) -> Self {
        let lines = Arc::new(Mutex::new(vec![TunnelStatus::default(); count]));
        Self { lines, attached: watch::Sender::new(0) }
    }

    pub(super) fn count(&self) -> usize {
        self.lines.lock().len()
    }

    /// Those that have a broker to dial.
    pub(super) fn status(&self) -> Vec<TunnelStatus> {
        self.lines.lock().iter().filter(|line| !line.address.is_empty()).cloned().collect()
    }

    pub(super) fn attached(&self) -> watch::Receiver<usize> {
        self.attached.subscribe()
    }

    /// No broker is left for it.
    pub(super) fn clear(&self, slot: usize) {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get_mut(slot) {
            *line = TunnelStatus::default();
        }
        self.count_attached(&lines);
    }

    pub(super) fn set(&self, slot: usize, address: &str, state: State) {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get_mut(slot) {
            address.clone_into(&mut line.address);
            write(line, state);
        }
        self.count_attached(&lines);
    }

    fn count_attached(&self, lines: &[TunnelStatus]) {
        let attached = lines.iter().filter(|line| line.state == ATTACHED).count();
        self.attached.send_replace(attached);
        metrics::attached(attached);
    }
}

fn write(line: &mut TunnelStatus, state: State) {
    let now = clock::wall().0;
    let (name, broker) = match state {
        State::Dialing => ("dialing", String::new()),
        State::Attached { broker } => (ATTACHED, broker),
        State::Draining => ("draining", std::mem::take(&mut line.broker_id)),
        State::Waiting { error } => {
            line.last_error = error;
            ("waiting", String::new())
        }
    };
    if line.state != name {
        line.since_ms = now;
    }
    name.clone_into(&mut line.state);
    line.broker_id = broker;
}

const ATTACHED: &str = "attached";
