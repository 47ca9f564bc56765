//! Planner and runner played by a test of another room: what they were told, and what they say.

use std::sync::Arc;

use tokio::sync::mpsc;
use tunnel_protos::RequestId;

use super::{Ask, Behind, Desk, NoArchive, Order, Word, board::Seen, desk::Command};

/// Behind a desk, instead of those who work there.
pub(crate) struct Hands(Behind);

impl Hands {
    pub(crate) fn new() -> (Desk, mpsc::Receiver<Word>, Self) {
        let (desk, words, behind) = Desk::new(Arc::new(NoArchive));
        (desk, words, Self(behind))
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
