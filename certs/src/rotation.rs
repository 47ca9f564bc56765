//! The rotation of the mesh CA, as pure decisions: from what was observed to the next step, and what it waits for.
//!
//! Where a rotation is follows from the certificates; the recorded phase only says what was announced. So a job that
//! crashed, or a broker that came back from a backup, goes on from where the certificates are.
//!
//! Nobody may be cut off: a root is trusted by all before it issues, and issues everywhere before another goes.

mod enter;
mod observed;
mod step;

pub use self::{
    enter::{Refusal, check_enter},
    observed::{CaId, Observed, Replica},
    step::{Goal, Missing, Step, Stuck, next},
};

#[cfg(test)]
mod tests;
