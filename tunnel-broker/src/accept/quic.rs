//! The QUIC listener: admits replicas and finishes their handshakes on the lanes that will carry them.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tracing::{debug, info_span};
use tunnel_runtime::{chain, drain};
use tunnel_transport::quic::{HandshakeError, Handshaking, Listener};

use crate::{
    lanes::{Lane, Lanes},
    metrics::{self, Place, Queue},
    tunnels::{Attendant, Live, Tunnels},
};

/// Lets replicas in.
#[derive(Debug)]
pub(crate) struct Dock {
    pub(crate) listener: Arc<Listener>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) tunnels: Arc<Tunnels>,
    /// One per tunnel, from before its handshake until its end.
    pub(crate) berths: Arc<Semaphore>,
    pub(crate) handshake_timeout: Duration,
}

impl Dock {
    /// Accepts until drained; nobody is let in from then on, and tunnels that are up stay.
    pub(crate) async fn accept(self, drain: drain::Watch) {
        loop {
            let handshaking = tokio::select! {
                handshaking = self.listener.accept() => handshaking,
                () = drain.draining() => None,
            };
            let Some(handshaking) = handshaking else { break };
            self.admit(handshaking);
        }
        self.listener.stop();
    }

    fn admit(&self, handshaking: Handshaking) {
        let Ok(berth) = Arc::clone(&self.berths).try_acquire_owned() else {
            metrics::refused(Queue::Tunnels);
            return handshaking.refuse();
        };
        let lane = self.lanes.pick().clone();
        let (tunnels, timeout) = (Arc::clone(&self.tunnels), self.handshake_timeout);
        let span = info_span!("tunnel", peer.addr = %handshaking.remote_address());
        // Boxed: making a tunnel is short and large, keeping it is long and small.
        let making = Box::pin(make(handshaking, timeout, lane.clone(), tunnels));
        lane.spawn(span, async move {
            if let Some(attendant) = making.await {
                attendant.run().await;
            }
            drop(berth);
        });
    }
}

async fn make(
    handshaking: Handshaking,
    timeout: Duration,
    lane: Lane,
    tunnels: Arc<Tunnels>,
) -> Option<Box<Attendant>> {
    let live = finish(handshaking, timeout, lane).await?;
    tunnels.welcome(live).await.map(Box::new)
}

async fn finish(handshaking: Handshaking, timeout: Duration, lane: Lane) -> Option<Live> {
    match handshaking.finish(timeout).await {
        Ok(tunnel) => {
            metrics::handshake(Place::Quic, "ok");
            Some(Live { tunnel, lane, nudge: Arc::default() })
        }
        Err(error) => {
            metrics::handshake(Place::Quic, as_str(&error));
            debug!(error = %chain(&error), "No tunnel");
            None
        }
    }
}

const fn as_str(error: &HandshakeError) -> &'static str {
    match error {
        HandshakeError::Deadline(_) => "deadline",
        HandshakeError::Failed(_) => "failed",
        HandshakeError::Peer(_) => "peer",
    }
}
