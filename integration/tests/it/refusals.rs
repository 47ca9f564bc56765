//! Whatever comes from a network and is refused is counted: each input is sent for real, and the counter that the runbook
//! looks at is read before and after.

mod client;
mod gate;
mod replicas;
mod strangers;
