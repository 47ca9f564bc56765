//! The handle by which the clerk reaches planner and runner; cheap to clone, and nothing on it waits.

use std::sync::Arc;

use tokio::sync::mpsc;
use tunnel_protos::{RequestId, operations::v1::Operation, v1::RequestState};

use super::{
    Archive, Ask, Order, Word,
    board::{Board, Seen, Watching},
};

/// Plans, starts, stops and shows operations.
#[derive(Debug, Clone)]
pub struct Desk {
    asks: mpsc::Sender<Ask>,
    commands: mpsc::Sender<Command>,
    board: Board,
    archive: Arc<dyn Archive>,
}

/// What the runner is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Start this.
    Start(Box<Order>),
    /// It is on the board already: say again where it stands.
    Tell(RequestId),
    /// Nobody will ask for it any more.
    Forget(RequestId),
}

/// The other end of a [`Desk`], for planner and runner.
#[derive(Debug)]
pub struct Behind {
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) words: mpsc::Sender<Word>,
    pub(super) board: Board,
    pub(super) archive: Arc<dyn Archive>,
}

/// Too much waits already; to be said again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many operations wait already")]
pub struct Full;

impl Desk {
    /// A desk, what the clerk is told, and the end for those who work behind the desk.
    pub fn new(archive: Arc<dyn Archive>) -> (Self, mpsc::Receiver<Word>, Behind) {
        let (asks, asked) = mpsc::channel(MOST_ASKS);
        let (commands, told) = mpsc::channel(MOST_OPEN);
        let (words, heard) = mpsc::channel(MOST_OPEN);
        let board = Board::default();
        let behind = Behind {
            asks: asked,
            commands: told,
            words,
            board: board.clone(),
            archive: Arc::clone(&archive),
        };
        (Self { asks, commands, board, archive }, heard, behind)
    }

    /// Asks for a plan, or for a refusal.
    pub fn plan(&self, ask: Ask) -> Result<(), Full> {
        self.asks.try_send(ask).map_err(|_| Full)
    }

    /// Starts what was approved, after whatever holds its component; of one that is known its state is told again.
    pub fn start(&self, order: Order) -> Result<(), Full> {
        let id = order.id;
        if self.board.seen(&id).is_some() {
            return self.commands.try_send(Command::Tell(id)).map_err(|_| Full);
        }
        if self.board.open() >= MOST_OPEN {
            return Err(Full);
        }
        self.board.enter(id, Seen::waiting(&order));
        self.commands.try_send(Command::Start(Box::new(order))).map_err(|_| {
            self.board.remove(&id);
            Full
        })
    }

    /// Stops a run before its next step, at once in memory, or one that is still to be started; false if it is over.
    pub fn cancel(&self, id: &RequestId, why: &str) -> bool {
        self.board.stop(id, why)
    }

    /// What was told as stale has been taken: it may be started again, by another plan.
    pub fn release(&self, id: &RequestId) {
        self.board.release(id);
    }

    /// What is known of a run, without its plan, which its request holds; none if it was never started here.
    pub fn view(&self, id: &RequestId) -> Option<Operation> {
        let operation = self.board.seen(id)?.operation.clone();
        Some(Operation { bundle: self.archive.bundle(id), ..operation })
    }

    /// Where a run stands; none if it was never started here.
    pub fn state(&self, id: &RequestId) -> Option<RequestState> {
        self.board.seen(id).map(|seen| seen.operation.state())
    }

    /// Follows a run's events that come after the one of this number.
    pub fn watch(&self, id: &RequestId, after: u64) -> Option<Watching> {
        self.board.watch(id, after)
    }

    /// Its request is forgotten: so may be its run.
    pub fn forget(&self, id: RequestId) {
        // What is not forgotten now is forgotten by its age, after a restart.
        let _ = self.commands.try_send(Command::Forget(id));
    }
}

/// More plans at a time are no work of people.
const MOST_ASKS: usize = 64;
/// Operations that run or wait for their turn; each is a task.
pub(super) const MOST_OPEN: usize = 64;
