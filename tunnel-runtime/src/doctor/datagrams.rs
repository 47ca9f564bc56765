//! Whether datagrams pass that are larger than the least that QUIC needs: a broker answers a version that nobody speaks
//! (RFC 9000, section 6.1) without knowing who asks.
//!
//! Invariant: nothing of ours is sent, and no more than a few datagrams.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, time::timeout};

use super::Finding;

/// What passes to `address`.
pub async fn mtu(address: SocketAddr) -> Finding {
    let tried = format!("{address}, datagrams of {LEAST}, {WANTED} and {MOST} bytes");
    let (least, wanted, most) =
        tokio::join!(passes(address, LEAST), passes(address, WANTED), passes(address, MOST));
    let largest = [(most, MOST), (wanted, WANTED), (least, LEAST)].into_iter().find(|(passes, _)| *passes);
    match largest.map(|(_, size)| size) {
        None => Finding::good("mtu", tried, "none is answered").doubtful(OPEN_UDP),
        Some(LEAST) => {
            Finding::good("mtu", tried, format!("{LEAST} bytes pass, more do not")).doubtful(NARROW)
        }
        Some(size) => Finding::good("mtu", tried, format!("{size} bytes pass")),
    }
}

/// Whether one of some datagrams of `size` bytes is answered.
async fn passes(address: SocketAddr, size: usize) -> bool {
    for _ in 0..TRIES {
        let asked = timeout(PATIENCE, ask(address, size)).await;
        if matches!(asked, Ok(Ok(()))) {
            return true;
        }
    }
    false
}

/// Asks once, and waits for the answer to this.
async fn ask(address: SocketAddr, size: usize) -> io::Result<()> {
    let any =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind::<SocketAddr>(any).await?;
    unfragmented(&socket, address)?;
    socket.connect(address).await?;
    socket.send(&question(size)).await?;
    let mut answer = [0; ANSWER];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answers(&answer[..length]) {
            return Ok(());
        }
    }
}

/// A datagram that is cut into fragments tells nothing.
#[cfg(target_os = "linux")]
fn unfragmented(socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    if address.is_ipv4() {
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE)?;
    } else {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn unfragmented(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// A long header of a version that is reserved so that nobody speaks it.
fn question(size: usize) -> Vec<u8> {
    let id = [&[ID.len() as u8][..], ID].concat();
    let mut question = [&[0xc0][..], &VERSION, &id, &id].concat();
    question.resize(size, 0);
    question
}

/// Version negotiation, to us.
fn answers(datagram: &[u8]) -> bool {
    let id = [&[ID.len() as u8][..], ID].concat();
    let rest = datagram.split_first().filter(|(first, _)| **first & 0x80 != 0).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.strip_prefix(&[0; 4]))
        .is_some_and(|rest| rest.starts_with(&[&id[..], &id].concat()))
}

/// As connections have them.
const ID: &[u8] = b"doctor-1";
const VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];
/// QUIC goes nowhere without.
const LEAST: usize = 1_200;
/// What the usual tunnels on the way (PPPoE, WireGuard, IPsec) leave.
const WANTED: usize = 1_350;
/// What Ethernet carries with the headers of IPv6.
const MOST: usize = 1_452;
/// A list of versions.
const ANSWER: usize = 512;
/// One may be lost.
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(1);
const OPEN_UDP: &str = "open UDP to this address in the firewall of this network, and let answers back in; the broker may be down, too, or \
                        a balancer before it answers by itself";
const NARROW: &str = "tunnels work, and bulk is slower: something on the way (a VPN, a tunnel) takes room from each packet. Give the path an \
                      MTU of 1400 bytes or more, and let ICMP `fragmentation needed` (IPv6: `packet too big`) pass";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{doctor::Verdict, tasks::Task};

    /// Answers datagrams of at most so many bytes as a broker does.
    async fn broker(most: usize) -> (SocketAddr, Task<()>) {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        let serve = async move {
            let mut datagram = [0; 2_048];
            loop {
                let (length, from) = socket.recv_from(&mut datagram).await.unwrap();
                let ids = &datagram[5..5 + 2 * (1 + ID.len())];
                let answer = [&[0x80, 0, 0, 0, 0][..], ids, &[0, 0, 0, 1]].concat();
                if length <= most {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        };
        (address, Task::spawn(tracing::Span::none(), serve))
    }

    #[tokio::test]
    async fn what_passes_is_told_and_a_narrow_path_warns() {
        for (most, verdict, seen) in [
            (1_500, Verdict::Good, "1452 bytes pass"),
            (1_400, Verdict::Good, "1350 bytes pass"),
            (1_280, Verdict::Doubtful, "1200 bytes pass, more do not"),
            (1_000, Verdict::Doubtful, "none is answered"),
        ] {
            let (address, _broker) = broker(most).await;
            let finding = mtu(address).await;
            assert_eq!((finding.verdict, finding.seen.as_str()), (verdict, seen), "{most}");
        }
    }

    #[test]
    fn only_the_answer_to_this_counts() {
        let question = question(LEAST);
        assert_eq!(question.len(), LEAST);
        let answer = [&[0x80, 0, 0, 0, 0][..], &question[5..23], &[0, 0, 0, 1]].concat();
        assert!(answers(&answer));
        assert!(!answers(&question), "an echo");
        assert!(!answers(&answer[..20]) && !answers(&[]));
        assert!(!answers(&[&[0x00][..], &answer[1..]].concat()), "a short header");
    }
}
