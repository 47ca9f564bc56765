//! Planner and runner played by a test of another room: what they were told, and what they say.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tunnel_protos::{RequestId, operations::v1::Bundle};

use super::{
    Archive, Ask, Behind, Chunks, Collecting, Desk, FetchError, Order, Progress, Word, board::Seen,
    desk::Command,
};
use crate::engine::Engine;

/// Behind a desk, instead of those who work there.
pub(crate) struct Hands(Behind, Shelf);

/// The same bundle for every operation, if any.
#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<Option<Bundle>>>);

impl Archive for Shelf {
    fn make(&self, _: Collecting, _: Engine, _: Progress) -> BoxFuture<'_, Result<Bundle, String>> {
        async { Err("A test makes no debug bundles".to_owned()) }.boxed()
    }

    fn bundle(&self, _: &RequestId) -> Option<Bundle> {
        self.0.lock().clone()
    }

    fn fetch(&self, _: &RequestId, _: u64) -> Result<Chunks, FetchError> {
        Err(FetchError::None)
    }

    fn forget(&self, _: &RequestId) {}
}

impl Hands {
    pub(crate) fn new() -> (Desk, mpsc::Receiver<Word>, Self) {
        let shelf = Shelf::default();
        let (desk, words, behind) = Desk::new(Arc::new(shelf.clone()));
        (desk, words, Self(behind, shelf))
    }

    /// What is to be planned since the last look.
    pub(crate) fn asked(&mut self) -> Vec<Ask> {
        std::iter::from_fn(|| self.0.asks.try_recv().ok()).collect()
    }

    /// What is to be run since the last look.
    pub(crate) fn ordered(&mut self) -> Vec<Order> {
        let told = std::iter::from_fn(|| self.0.commands.try_recv().ok());
        let order = |command| match command {
            Command::Start(order) => Some(*order),
            _ => None,
        };
        told.filter_map(order).collect()
    }

    /// Puts a bundle there.
    pub(crate) fn keep(&self, bundle: Bundle) {
        *self.1.0.lock() = Some(bundle);
    }

    /// It was begun by a process before this one, and goes on.
    pub(crate) fn resume(&self, order: &Order) {
        self.0.board.enter(order.id, Seen::waiting(order));
    }

    pub(crate) async fn say(&self, word: Word) {
        self.0.words.send(word).await.unwrap();
    }

    /// Why a run is to stop; none if it is not.
    pub(crate) fn stopping(&self, id: &RequestId) -> Option<String> {
        self.0.board.stopping(id).borrow().clone()
    }
}
