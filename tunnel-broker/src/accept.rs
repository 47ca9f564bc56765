//! The ways in: QUIC for replicas, TCP for operators, told apart by what a ClientHello says.

pub(crate) mod alert;
pub(crate) mod hello;
mod intake;
pub(crate) mod quic;
pub(crate) mod rewind;
mod route;
pub(crate) mod tcp;
pub(crate) mod waiting_room;
