//! Keeps the policy in step with its file. A broken new file keeps the policy before it; no file denies everything.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{info, warn};

use super::{Methods, Policy};
use crate::{engine::Engine, metrics};

/// What is in force, and what is wrong with the file if something is.
#[derive(Debug, Clone)]
pub struct PolicyState {
    /// The policy in force.
    pub policy: watch::Receiver<Arc<Policy>>,
    /// Why a newer file was not taken; empty if none.
    pub error: watch::Receiver<String>,
}

/// The policy's file and what was last read from it.
#[derive(Debug)]
pub struct PolicyFile {
    path: Option<PathBuf>,
    methods: Arc<Methods>,
    engine: Option<watch::Receiver<Engine>>,
    seen: Option<Seen>,
    /// What the policy in force says.
    text: String,
    policy: watch::Sender<Arc<Policy>>,
    error: watch::Sender<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Absent,
    Unreadable(io::ErrorKind),
}

impl PolicyFile {
    /// Reads the file for the first time; until it can be read, everything is denied.
    pub fn open(path: Option<PathBuf>, methods: Arc<Methods>) -> (Self, PolicyState) {
        let (policy, policy_in_force) = watch::channel(Arc::new(Policy::locked(methods.clone())));
        let (error, error_shown) = watch::channel(String::new());
        let mut file = Self { path, methods, engine: None, seen: None, text: String::new(), policy, error };
        file.refresh();
        (file, PolicyState { policy: policy_in_force, error: error_shown })
    }

    /// Follows the profile, too: what methods there are is a part of every policy.
    #[must_use]
    pub fn following(self, engine: watch::Receiver<Engine>) -> Self {
        Self { engine: Some(engine), ..self }
    }

    /// Looks at the file every half second, for ever; dropping the future stops it.
    pub async fn watch(mut self) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                engine = profiled(&mut self.engine) => {
                    self.methods = Arc::new(Methods::of(engine.profile()));
                    self.seen = None;
                }
            }
            self.refresh();
        }
    }

    /// Reads the file again and publishes what changed.
    pub fn refresh(&mut self) {
        let now = self.look();
        if self.seen.as_ref() == Some(&now) {
            return;
        }
        self.apply(&now);
        self.seen = Some(now);
    }

    fn look(&self) -> Seen {
        let Some(path) = &self.path else { return Seen::Absent };
        match std::fs::read_to_string(path) {
            Ok(text) => Seen::Text(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Absent,
            Err(error) => Seen::Unreadable(error.kind()),
        }
    }

    fn apply(&mut self, now: &Seen) {
        match now {
            Seen::Text(text) => match Policy::load_named(&self.name(), text, self.methods.clone()) {
                Ok(policy) => {
                    self.text.clone_from(text);
                    self.publish(policy);
                }
                Err(error) => self.keep(error.to_string().replace('\n', "; ")),
            },
            Seen::Absent => {
                self.text.clear();
                self.publish(Policy::locked(self.methods.clone()));
                warn!(path = ?self.path, "No policy file, everything is denied");
                self.error.send_replace("no policy file: everything is denied".to_owned());
            }
            Seen::Unreadable(kind) => self.keep(format!("policy file cannot be read: {kind}")),
        }
    }

    fn name(&self) -> String {
        self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }

    fn publish(&self, policy: Policy) {
        info!(policy.digest = policy.digest(), "Policy in force");
        self.policy.send_replace(Arc::new(policy));
        self.error.send_replace(String::new());
        metrics::policy_stale(false);
    }

    fn keep(&self, error: String) {
        self.renew();
        warn!(error, "Policy file not taken, the policy before it stays in force");
        self.error.send_replace(error);
        metrics::policy_stale(true);
    }

    /// The policy in force, about the methods that there are now: a new profile does not wait for a broken file.
    fn renew(&self) {
        if std::ptr::eq(self.policy.borrow().methods(), &*self.methods) || self.text.is_empty() {
            return;
        }
        match Policy::load_named(&self.name(), &self.text, self.methods.clone()) {
            Ok(policy) => drop(self.policy.send_replace(Arc::new(policy))),
            Err(error) => warn!(%error, "Policy in force does not take the new profile"),
        }
    }
}

/// The engine of another profile; never ends while there is none. Cancel-safe.
async fn profiled(engine: &mut Option<watch::Receiver<Engine>>) -> Engine {
    if let Some(receiver) = engine {
        if receiver.changed().await.is_ok() {
            return receiver.borrow_and_update().clone();
        }
        *engine = None;
    }
    std::future::pending().await
}

/// A stricter policy must cut within a second of being written, so no longer. Reading a small file takes some
/// microseconds, a hundred-thousandth of a core. The whole text is compared, because a length and a time can stay the same. inotify would not do:
/// it is silent about files of other machines (NFS), about mounts that appear over the path, and about a ConfigMap's
/// switch of links two folders up unless each of them is watched; a policy that is missed is one that does not cut.
const POLL: Duration = Duration::from_millis(500);
