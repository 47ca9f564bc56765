//! The word that ends open calls: said once, heard by every call that holds it.
//!
//! Calls look at it when they are polled, which costs them a load; whoever says it has to poll them all.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
};

use super::status::Refusal;

/// Why the calls that hold it end; empty while they may go on.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(Arc<OnceLock<Refusal>>);

impl Cut {
    /// Ends the calls that hold it; the first reason stays.
    pub(super) fn say(&self, refusal: Refusal) {
        let _ = self.0.set(refusal);
    }

    /// Runs `work` until it ends or is cut.
    pub(super) async fn unless<T, E: From<Refusal>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut work = pin!(work);
        poll_fn(|cx| match self.0.get() {
            Some(refusal) => Poll::Ready(Err(refusal.clone().into())),
            None => work.as_mut().poll(cx),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ready() -> Result<u8, Refusal> {
        std::future::ready(Ok(1)).await
    }

    #[tokio::test]
    async fn work_goes_on_until_it_is_cut_and_the_first_reason_stays() {
        let cut = Cut::default();
        assert_eq!(cut.unless(ready()).await, Ok(1));
        cut.say(Refusal::Draining);
        cut.say(Refusal::Deadline);
        assert_eq!(cut.unless(ready()).await, Err(Refusal::Draining));
    }
}
