//! Asking the clerk whether a run may begin, or call its first step again, after each wait: it may have lasted for days.

use std::time::Duration;

use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{BETWEEN_LOOKS, Driver};
use crate::{
    operations::{Word, executor::Executor},
    store::Store,
};

impl<S: Store, E: Executor> Driver<S, E> {
    /// Whether the run may begin, or has begun; a no ends it, and without an answer it is asked for again.
    pub(super) async fn is_let(&mut self) -> bool {
        if self.is_judged || !self.kept.run.is_to_begin() {
            return true;
        }
        match self.ask().await {
            Some(Ok(())) => self.is_judged = true,
            Some(Err(why)) => self.kept.run.stop(&why, self.means.clock.now()),
            None => sleep(BETWEEN_LOOKS).await,
        }
        self.is_judged
    }

    /// What the clerk says by today's policy and the request's own end; none if it says nothing.
    async fn ask(&self) -> Option<Result<(), String>> {
        let (reply, answer) = oneshot::channel();
        let turn = Word::Turn { id: self.id(), plan: self.kept.run.plan_digest(), reply };
        let asked = async {
            self.means.words.send(turn).await.ok()?;
            answer.await.ok()
        };
        timeout(ANSWER, asked).await.ok().flatten()
    }
}

/// A clerk whose disk is slow.
const ANSWER: Duration = Duration::from_secs(30);
