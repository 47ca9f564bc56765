//! Requests from delivery to outcome, over the real store and the real cryptography; only the wall clock is ours.

mod approving;
mod audited;
mod certificates;
mod cutting;
mod grants;
mod hostile;
mod house;
mod live;
mod model;
mod operating;
mod races;
mod receiving;
mod restart;
mod rules;
mod yes;
