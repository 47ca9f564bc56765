//! From a tunnel's session stream to the gate.

use std::net::SocketAddr;

use tunnel_protos::Door;
use tunnel_runtime::drain::Watch;
use tunnel_transport::Stream;

use super::Client;
use crate::{gate::grants::GrantsView, tunnels::Sessions};

/// Leads sessions into the gate.
#[derive(Clone)]
pub(super) struct Doorway {
    view: GrantsView,
}

impl Doorway {
    pub(super) fn new(client: &Client, _drain: &Watch) -> Self {
        Self { view: client.view.clone() }
    }
}

impl Sessions for Doorway {
    fn knows(&self, door: &Door) -> bool {
        self.view.door(door).is_some()
    }

    async fn serve(&self, _door: Door, _peer: Option<SocketAddr>, stream: Stream) {
        drop(stream);
    }
}
