//! Requests from delivery to outcome, over the real store and the real cryptography; only the wall clock is ours.

mod certificates;
mod grants;
mod hostile;
mod house;
mod receiving;
mod restart;
