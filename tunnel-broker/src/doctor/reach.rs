//! Whether the ports are this program's to take, and whether the addresses of the trust bundle lead anywhere.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};
use tunnel_runtime::doctor::{Finding, Verdict, datagrams, network};

use crate::config::ListenConfig;

/// Each port, bound for a moment.
pub(super) async fn ports(listen: &ListenConfig) -> [Finding; 3] {
    // A broker that runs has them all.
    let runs = is_answered(listen.admin).await;
    [
        port("udp-port", listen.quic, UdpSocket::bind(listen.quic).await.map(drop), runs),
        port("tcp-port", listen.tcp, TcpListener::bind(listen.tcp).await.map(drop), runs),
        port("admin-port", listen.admin, TcpListener::bind(listen.admin).await.map(drop), runs),
    ]
}

fn port(check: &'static str, address: SocketAddr, bound: io::Result<()>, runs: bool) -> Finding {
    let finding = |seen: String| Finding::good(check, address.to_string(), seen);
    match bound {
        Ok(()) => finding("free".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && runs => {
            finding("taken; the admin port answers, so a broker runs".to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => finding(error.to_string()).bad(TAKEN),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            finding(error.to_string()).bad(FORBIDDEN)
        }
        Err(error) => finding(error.to_string()).bad(OTHER),
    }
}

async fn is_answered(admin: SocketAddr) -> bool {
    timeout(DEADLINE, TcpStream::connect(admin)).await.is_ok_and(|connected| connected.is_ok())
}

/// The broker addresses of the trust bundle, as clients use them. From inside, some networks do not lead to their own
/// outside, so that nothing here is a failure.
pub(super) async fn addresses(addresses: &[String]) -> Vec<Finding> {
    if addresses.is_empty() {
        let finding = Finding::good("address", "broker addresses of the trust bundle", "there are none");
        return vec![
            finding.doubtful("name this broker in the next trust bundle, or clients must be configured"),
        ];
    }
    join_all(addresses.iter().take(MOST).map(|address| reach(address))).await.into_iter().flatten().collect()
}

async fn reach(address: &str) -> Vec<Finding> {
    let (resolved, found) = network::resolve(address).await;
    let both = |address| async move { tokio::join!(network::tcp(address), datagrams::mtu(address)) };
    let reached = join_all(found.into_iter().map(both)).await.into_iter();
    let doubt = |finding: Finding| match finding.verdict {
        Verdict::Bad => {
            let advice = format!("{}; nothing is wrong if no broker runs there now", finding.advice);
            finding.doubtful(advice)
        }
        _ => finding,
    };
    [resolved].into_iter().chain(reached.flat_map(|(tcp, mtu)| [tcp, mtu])).map(doubt).collect()
}

/// On this machine.
const DEADLINE: Duration = Duration::from_secs(2);
/// A fleet has a handful.
const MOST: usize = 16;
const TAKEN: &str = "another program has this port; stop it, or set another under `listen`";
const FORBIDDEN: &str =
    "ports below 1024 need CAP_NET_BIND_SERVICE (the systemd unit gives it), or set another under `listen`";
const OTHER: &str = "set an address of this machine under `listen`";
