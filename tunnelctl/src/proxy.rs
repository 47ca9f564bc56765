//! A local end without TLS whose bytes go into the operator's own mTLS session to a door.
//!
//! Invariants: only this user's programs get in by the socket, one local connection is one session at the gate, and no
//! byte of a call is looked at or changed; only a GOAWAY is put between frames when a session has to be replaced.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tracing::info_span;
use tunnel_runtime::tasks::{Task, Tasks};

use crate::session::Line;

mod connection;
mod frames;
mod greeting;
mod listener;
mod splice;

pub(crate) use self::listener::{Listener, Place, Reach};

/// Why there is no local end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Another proxy is there.
    #[error("{} is in use by another proxy: use that one, stop it, or choose another place with --socket", .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{} exists and is not a socket: choose another place with --socket", .0.display())]
    NotASocket(PathBuf),
    /// The address is not this machine's alone.
    #[error(
        "{0} can be reached from other machines, and everyone there would act as you: listen on 127.0.0.1, or say --expose-to-network"
    )]
    Exposed(SocketAddr),
    /// The system refused.
    #[error("cannot listen on {place}")]
    Listen {
        /// Where.
        place: String,
        /// Why.
        source: std::io::Error,
    },
}

/// How connections get to the gate, now and after the next renewal.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// The door and the certificate for it.
    pub(crate) line: Arc<Line>,
    /// Rises when connections should move to a new session.
    pub(crate) epoch: u64,
}

/// What every connection shares.
#[derive(Clone)]
struct Shared {
    upstream: watch::Receiver<Upstream>,
    notes: mpsc::Sender<String>,
    open: Arc<AtomicUsize>,
}

impl Shared {
    /// Told to the person; when they come faster than they can be read, some are lost.
    fn note(&self, text: String) {
        let _ = self.notes.try_send(text);
    }
}

/// A running proxy; dropping it cuts every connection and takes the socket away.
pub(crate) struct Proxy {
    place: Place,
    upstream: watch::Sender<Upstream>,
    open: Arc<AtomicUsize>,
    connections: Arc<Tasks>,
    accepting: Mutex<Option<Task<()>>>,
}

impl Proxy {
    /// Starts to accept.
    pub(crate) fn start(listener: Listener, line: Line, notes: mpsc::Sender<String>) -> Self {
        let upstream = watch::Sender::new(Upstream { line: Arc::new(line), epoch: 0 });
        let (open, connections) = (Arc::<AtomicUsize>::default(), Arc::new(Tasks::new()));
        let shared = Shared { upstream: upstream.subscribe(), notes, open: Arc::clone(&open) };
        let place = listener.place().clone();
        let accept = accept(listener, shared, Arc::clone(&connections));
        let accepting = Mutex::new(Some(Task::spawn(info_span!("accept"), accept)));
        Self { place, upstream, open, connections, accepting }
    }

    /// Where it listens.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// How many connections are open.
    pub(crate) fn counter(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }

    /// New connections take `line`; open ones are asked to move there when their streams end.
    pub(crate) fn renew(&self, line: Line) {
        self.upstream.send_modify(|upstream| {
            upstream.line = Arc::new(line);
            upstream.epoch += 1;
        });
    }

    /// Accepts nothing new, asks clients to finish, and waits for them a little.
    pub(crate) async fn drain(&self) {
        let accepting = self.accepting.lock().take();
        if let Some(task) = accepting {
            task.abort();
            // Its end takes the socket away.
            let _ = timeout(DRAIN_TIME, task).await;
        }
        self.upstream.send_modify(|upstream| upstream.epoch += 1);
        // What still runs after that is cut when this is dropped.
        let _ = timeout(DRAIN_TIME, self.connections.idle()).await;
    }
}

/// Bounded: the gate has a bound of its own, and a client that leaks connections should find out early.
async fn accept(listener: Listener, shared: Shared, connections: Arc<Tasks>) {
    let seats = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let local = match listener.accept().await {
            Ok(local) => local,
            Err(error) => {
                shared.note(format!("a connection was refused: {error}"));
                continue;
            }
        };
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            shared.note(format!("more than {MOST_CONNECTIONS} connections; one was refused"));
            continue;
        };
        let shared = shared.clone();
        connections.spawn(info_span!("connection"), async move {
            let _seat = seat;
            shared.open.fetch_add(1, Ordering::Relaxed);
            connection::serve(local, &shared).await;
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Half of what the gate lets one grant have, so that a second program of the operator still gets in.
const MOST_CONNECTIONS: usize = 32;
/// A person who pressed Ctrl-C waits no longer.
const DRAIN_TIME: Duration = Duration::from_secs(5);
