//! What became of a call that nobody saw end: looked for as long as it may still be under way.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{BETWEEN_LOOKS, Driver, LOOKS, is_collecting};
use crate::{
    operations::{
        executor::Executor,
        judge::{Effect, Way},
        run::Answer,
    },
    store::Store,
};

impl<S: Store, E: Executor> Driver<S, E> {
    /// Nobody saw the call end: a crash came between.
    pub(super) async fn find_out(&mut self) {
        let effect = match self.kept.run.way {
            Way::Forth => self.look_for_effect(self.patience()).await,
            Way::Back => self.look_patiently().await.map(|found| self.effect(&found)),
        };
        let now = self.now();
        match (self.kept.run.way, effect) {
            (Way::Forth, Ok(effect)) => self.settle(effect),
            (Way::Forth, Err(why)) => self.kept.run.lose(&why, now),
            (Way::Back, Ok(Effect::NotDone)) if !self.kept.run.is_unsure() => {
                self.kept.run.answered(Answer::Done, now);
            }
            (Way::Back, Ok(Effect::Foreign(why))) => self.kept.run.refuse(why, now),
            (Way::Back, _) => self.kept.run.begin_again(now),
        }
    }

    /// Whether the step that is to be called again shows an effect of its first call after all, which is then settled.
    pub(super) async fn came_late(&mut self) -> bool {
        if self.kept.run.way == Way::Back || !self.kept.run.is_unsure() {
            return false;
        }
        match self.look().await.map(|found| self.effect(&found)) {
            Ok(Effect::NotDone) | Err(_) => false,
            Ok(effect) => {
                self.settle(effect);
                true
            }
        }
    }

    /// What a call that nobody saw end did; it may still be under way, so that one look at nothing says little. Each
    /// look is tried for `within`.
    pub(super) async fn look_for_effect(&self, within: Duration) -> Result<Effect, String> {
        let end = Instant::now() + LOOKS;
        loop {
            let effect = self.effect(&self.look_within(within).await?);
            if effect != Effect::NotDone || Instant::now() >= end || self.stop.borrow().is_some() {
                return Ok(effect);
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    /// By what the step on the way forth shows.
    fn settle(&mut self, effect: Effect) {
        let (now, run) = (self.means.clock.now(), &mut self.kept.run);
        let step = run.step();
        match effect {
            Effect::Done => run.answered(Answer::Done, now),
            Effect::NotDone => {
                run.doubt();
                run.begin_again(now);
            }
            Effect::Partly => {
                run.answered(Answer::Partly("This client was stopped in the midst of it".to_owned()), now);
            }
            // Its gate tells.
            Effect::OnItsWay | Effect::Foreign(_) if step.gate.is_some() => {
                run.answered(Answer::Done, now);
                run.doubt();
            }
            Effect::Unseen if is_collecting(&step.method) => run.begin_again(now),
            Effect::OnItsWay | Effect::Unseen => {
                let title = step.title;
                let why = format!(
                    "This client was stopped during \"{title}\", and nothing shows whether it happened"
                );
                run.lose(&why, now);
            }
            Effect::Foreign(why) => run.lose(&why, now),
        }
    }
}
