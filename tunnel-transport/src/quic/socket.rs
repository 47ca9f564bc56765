//! UDP sockets with buffers that a burst fits into; segmentation offload is quinn's to detect.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

/// A 10 Gbit/s burst of 5 ms; the kernel's default of 208 KiB loses packets at a few hundred MB/s.
const BUFFER: usize = 7 << 20;
/// Below this, bulk transfers lose packets on the host itself.
const ENOUGH: usize = 1 << 20;

pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // Dual-stack where the system can; where it cannot, IPv6 alone is what was asked for.
        let _ = socket.set_only_v6(false);
    }
    enlarge(&socket);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn enlarge(socket: &Socket) {
    // The kernel clamps to its maximum instead of failing.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    let (receive, send) = (socket.recv_buffer_size().unwrap_or(0), socket.send_buffer_size().unwrap_or(0));
    if receive.min(send) < ENOUGH {
        warn!(receive, send, "UDP buffers limit throughput, raise net.core.rmem_max and wmem_max");
    }
}
