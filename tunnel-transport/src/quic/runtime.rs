//! quinn on tokio, with segmentation offload only for connections that send in bulk.
//!
//! With offload, quinn keeps a buffer of ten datagrams per connection: a third of what an idle tunnel costs.
//! So a connection begins without, and has it for good from its first burst. Invariant: nothing else differs
//! from quinn's own runtime.

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

/// What a connection's driver has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Activity {
    /// Datagrams since it was polled.
    burst: usize,
    bulk: bool,
}

impl Activity {
    /// The state when the driver is polled again.
    const fn polled(self) -> Self {
        Self { burst: 0, bulk: self.bulk }
    }

    const fn sent(self, datagrams: usize) -> Self {
        let burst = self.burst + datagrams;
        Self { burst, bulk: self.bulk || burst >= BURST }
    }
}

thread_local! {
    /// Of the driver that is being polled on this thread: sockets are shared and are not told who asks.
    static CURRENT: Cell<Activity> = const { Cell::new(Activity { burst: 0, bulk: false }) };
}

/// See the module.
#[derive(Debug)]
pub(super) struct Frugal;

impl Runtime for Frugal {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(Box::pin(Driver { future, activity: Activity::default() }));
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
        let datagrams = transmit.segment_size.map_or(1, |size| transmit.contents.len().div_ceil(size));
        CURRENT.set(CURRENT.get().sent(datagrams));
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
        if CURRENT.get().bulk { self.0.max_transmit_segments() } else { 1 }
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
        let after_handshake = Activity::default().sent(1).sent(1).sent(1);
        assert!(!after_handshake.bulk);
        let after_probes = (0..100).fold(after_handshake, |activity, _| activity.polled().sent(1));
        assert!(!after_probes.bulk);
    }

    #[test]
    fn one_burst_is_bulk_for_good() {
        let after_burst = Activity::default().sent(2).sent(2).polled();
        assert_eq!(after_burst, Activity { burst: 0, bulk: true });
        assert!(after_burst.sent(1).polled().bulk);
    }
}
