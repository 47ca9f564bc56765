//! Requests: open, verify, decide, grant, issue.
//!
//! Pure core (`state`, `record`, `book`), thin shell around it. Invariant: nothing leaves, and no gate opens,
//! before the transition that allows it is stored.

pub mod book;
mod codec;
pub mod record;
pub mod state;
