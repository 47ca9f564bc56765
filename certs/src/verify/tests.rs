//! Every rule of "Verifying", and every role in every place.

mod expired;
mod gate;
mod gate_server;
mod leaf;
mod peers;
mod places;
