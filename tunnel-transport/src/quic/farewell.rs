//! quinn's congestion control, but for the close frame.
//!
//! quinn 0.11.19 holds a close frame back while the congestion window is full, and forever so, since a closed
//! connection takes no acknowledgements: the peer would learn of it by its idle time (quinn-rs/quinn#2785; the fix
//! is not released). So the window is opened just before a close. Invariant: until then, nothing differs from CUBIC.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

/// Above what any connection has in flight, and where quinn stops to pace.
const OPEN: u64 = 1 << 33;

/// Set once, before a close.
#[derive(Debug, Clone, Default)]
pub(super) struct Closing(Arc<AtomicBool>);

impl Closing {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets the close frame of this connection pass; call it right before the close.
pub(super) fn announce(connection: &quinn::Connection) {
    if let Ok(controller) = connection.congestion_state().into_any().downcast::<Courteous>() {
        controller.own.begin();
    }
}

/// Makes the controllers of an endpoint's connections.
#[derive(Debug)]
pub(super) struct Factory {
    all: Closing,
    cubic: Arc<CubicConfig>,
}

impl Factory {
    /// `all` opens the windows of all connections.
    pub(super) fn new(all: Closing) -> Self {
        Self { all, cubic: Arc::default() }
    }
}

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let cubic = Arc::clone(&self.cubic).build(now, current_mtu);
        Box::new(Courteous { cubic, own: Closing::default(), all: self.all.clone() })
    }
}

struct Courteous {
    cubic: Box<dyn Controller>,
    /// Shared by all clones, so that a clone can open the window of the connection.
    own: Closing,
    all: Closing,
}

impl Controller for Courteous {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.cubic.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.own.begun() || self.all.begun() { OPEN } else { self.cubic.window() }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.cubic.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        let cubic = self.cubic.clone_box();
        Box::new(Self { cubic, own: self.own.clone(), all: self.all.clone() })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
