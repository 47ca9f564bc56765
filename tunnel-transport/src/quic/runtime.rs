//! quinn on tokio, with segmentation offload only for connections that send in bulk.
//!
//! With offload, quinn keeps a buffer of ten datagrams per connection: a third of what an idle tunnel costs.
//! So a connection begins without, and has it for good from its first burst, in batches that the system takes.
//! Invariant: nothing else differs from quinn's own runtime.

use std::{
    cell::Cell,
    future::Future,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use quinn::{
    AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};

/// A broker's part of a handshake is two or three datagrams; more at once is traffic.
const BURST: usize = 4;

/// What the system takes in one call, 64 KiB with the headers. quinn takes more for a lost packet and says nothing.
const BATCH: usize = 65_507;

/// What a connection's driver has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Activity {
    /// Datagrams since it was polled.
    burst: usize,
    bulk: bool,
    /// Bytes of the largest datagram ever, probes of the path's MTU among them.
    largest: usize,
}

impl Activity {
    const NONE: Self = Self { burst: 0, bulk: false, largest: 0 };

    /// The state when the driver is polled again.
    const fn polled(self) -> Self {
        Self { burst: 0, ..self }
    }

    fn sent(self, bytes: usize, segment: Option<usize>) -> Self {
        let datagram = segment.unwrap_or(bytes).max(1);
        let burst = self.burst + bytes.div_ceil(datagram);
        Self { burst, bulk: self.bulk || burst >= BURST, largest: self.largest.max(datagram) }
    }

    /// How many datagrams may go at once, where the system takes `most`.
    fn segments(self, most: usize) -> usize {
        if self.bulk { most.min(BATCH / self.largest.max(1)).max(1) } else { 1 }
    }
}

thread_local! {
    /// Of the driver that is being polled on this thread: sockets are shared and are not told who asks.
    static CURRENT: Cell<Activity> = const { Cell::new(Activity::NONE) };
}

/// See the module.
#[derive(Debug)]
pub(super) struct Frugal;

impl Runtime for Frugal {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(Box::pin(Driver { future, activity: Activity::NONE }));
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket(TokioRuntime.wrap_udp_socket(socket)?)))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

struct Driver {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    activity: Activity,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        CURRENT.set(self.activity.polled());
        let polled = self.future.as_mut().poll(cx);
        self.activity = CURRENT.get();
        polled
    }
}

#[derive(Debug)]
struct Socket(Arc<dyn AsyncUdpSocket>);

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.0).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)?;
        CURRENT.set(CURRENT.get().sent(transmit.contents.len(), transmit.segment_size));
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        CURRENT.get().segments(self.0.max_transmit_segments())
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_and_probes_are_no_bulk() {
        let after_handshake = Activity::NONE.sent(1200, None).sent(1200, None).sent(90, None);
        assert_eq!(after_handshake.segments(64), 1);
        let after_probes = (0..100).fold(after_handshake, |activity, _| activity.polled().sent(90, None));
        assert_eq!(after_probes.segments(64), 1);
    }

    #[test]
    fn one_burst_is_bulk_for_good() {
        let after_burst = Activity::NONE.sent(1452, None).sent(3000, Some(1000)).polled();
        assert_eq!(after_burst.segments(10), 10);
        assert_eq!(after_burst.sent(90, None).polled().segments(10), 10);
    }

    #[test]
    fn a_batch_is_never_larger_than_the_system_takes() {
        let after_probe = Activity::NONE.sent(4 * 1452, Some(1452)).sent(8952, None).polled();
        assert_eq!(after_probe.segments(10), 7);
        assert_eq!(after_probe.segments(1), 1);
        assert_eq!(Activity { burst: 0, bulk: true, largest: 65_527 }.segments(10), 1);
    }
}
