//! Watching a step's gate: looks at a bounded rate until it has held for its time, or its deadline is over.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Driver, stopped};
use crate::{
    audit::Event,
    operations::{
        executor::Executor,
        judge::{self, Way},
        soak::Soak,
    },
    store::Store,
};

impl<S: Store, E: Executor> Driver<S, E> {
    /// Watches until the gate of the step at hand has ended, or somebody stops the run.
    pub(super) async fn watch(&mut self) {
        let Some(gate) = self.kept.run.step().gate else {
            return self.kept.run.gated(Ok(()), self.means.clock.now());
        };
        let mut soak = Soak::new(&gate, Instant::now());
        let ended = loop {
            let (seen, now) = (self.see().await, Instant::now());
            if let Some(ended) = soak.looked(seen, now) {
                break ended;
            }
            let stop = self.stop.borrow_and_update().clone();
            if let Some(why) = stop.filter(|_| self.kept.run.way == Way::Forth) {
                return self.kept.run.stop(&why, self.means.clock.now());
            }
            tokio::select! {
                () = sleep(POLL) => {}
                () = stopped(&mut self.stop) => {}
            }
        };
        self.means.audit.note(Event::Gate {
            request: self.id(),
            step: self.kept.run.at + 1,
            held: ended.is_ok(),
        });
        self.kept.run.gated(ended, self.means.clock.now());
    }

    async fn see(&self) -> Result<(), String> {
        let found = self.look_once().await?;
        let run = &self.kept.run;
        judge::gate(&run.plan, run.at, run.way, &run.marks, &found)
    }
}

/// Often enough for a soak of seconds, rarely enough that no engine notices.
const POLL: Duration = Duration::from_secs(1);
