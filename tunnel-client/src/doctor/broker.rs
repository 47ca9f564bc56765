//! The way to each broker: its name, TCP and who answers there, UDP with our own identity.
//!
//! Invariant: a tunnel is closed as soon as its handshake is done, before anything is said on it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tunnel_certs::{identity::Role, tls, verify::Summary};
use tunnel_runtime::{
    chain,
    doctor::{Finding, Verdict, datagrams, network},
};
use tunnel_transport::{
    Code, Limits, Tunnel,
    quic::{Dial, DialError, dial},
};

use super::witness;
use crate::{
    trust::Belief,
    tunnels::{Dialing, host},
};

/// Looks at the ways to brokers, all at once.
pub(super) async fn all(addresses: &[String], belief: Option<&Belief>) -> Vec<Finding> {
    if addresses.is_empty() {
        let finding = Finding::good("brokers", "configuration and trust bundle", "no broker is named");
        return vec![finding.bad("set `brokers`, or take a trust bundle that names some")];
    }
    let dialing = belief.and_then(|belief| belief.dialing().ok().flatten());
    let looked = addresses.iter().take(MOST).map(|address| {
        let way = Way { address, belief, dialing: dialing.as_ref() };
        async move { way.look().await }
    });
    let mut findings: Vec<_> = join_all(looked).await.into_iter().flatten().collect();
    if addresses.len() > MOST {
        let left = format!("{} more are not looked at", addresses.len() - MOST);
        findings.push(Finding::skipped("brokers", "configuration and trust bundle", left));
    }
    findings
}

/// One broker, and what we meet it with.
struct Way<'w> {
    address: &'w str,
    belief: Option<&'w Belief>,
    dialing: Option<&'w Dialing>,
}

impl Way<'_> {
    async fn look(&self) -> Vec<Finding> {
        let (dns, found) = network::resolve(self.address).await;
        let found: Vec<_> = found.into_iter().take(ADDRESSES).collect();
        if found.is_empty() {
            return vec![dns];
        }
        let (tcp, udp) = tokio::join!(self.tcp(&found), self.udp(&found));
        [dns].into_iter().chain(tcp).chain(udp).collect()
    }

    /// Without a mesh certificate nothing goes on but over TCP; with one, tunnels do without it.
    async fn tcp(&self, found: &[SocketAddr]) -> Vec<Finding> {
        let tried = join_all(found.iter().map(|address| network::tcp(*address))).await;
        let open = found.iter().zip(&tried).find(|(_, finding)| finding.verdict == Verdict::Good);
        let open = open.map(|(address, _)| *address);
        let tls = match open {
            Some(address) => self.tls(address).await,
            None => {
                Finding::skipped("broker-tls", format!("TLS with {}", self.address), "TCP does not connect")
            }
        };
        let findings = settled(tried).into_iter().chain([tls]);
        if self.dialing.is_none() { findings.collect() } else { findings.map(mild).collect() }
    }

    async fn tls(&self, address: SocketAddr) -> Finding {
        let tried = format!("TLS with {}, as for enrollment", self.address);
        let Some(belief) = self.belief else {
            return Finding::skipped("broker-tls", tried, "there are no mesh roots to verify it by");
        };
        match shake(address, self.host(), belief).await {
            Ok(()) => {
                Finding::good("broker-tls", tried, "a broker's certificate under the vendor's mesh roots")
            }
            Err(error) => judge(tried, &error, &witness::look(address, self.host(), DEADLINE).await),
        }
    }

    async fn udp(&self, found: &[SocketAddr]) -> Vec<Finding> {
        let mtu = join_all(found.iter().map(|address| datagrams::mtu(*address)));
        let Some(dialing) = self.dialing else {
            let tried = format!("QUIC with {}", self.address);
            let skipped = Finding::skipped("udp", tried, "there is no mesh certificate to show");
            return [skipped].into_iter().chain(mtu.await).collect();
        };
        let shaken = join_all(found.iter().map(|address| self.quic(*address, dialing)));
        let (shaken, mtu) = tokio::join!(shaken, mtu);
        settled(shaken).into_iter().chain(mtu).collect()
    }

    async fn quic(&self, address: SocketAddr, dialing: &Dialing) -> Finding {
        let tried = format!("QUIC with {address}, with our mesh certificate");
        let parts = Dial {
            address,
            server_name: self.host().to_owned(),
            tls: dialing.tls.clone(),
            limits: Limits::default(),
            deadline: DEADLINE,
        };
        match dial(&parts).await {
            Ok(tunnel) => taken(tried, &tunnel).await,
            Err(error) => Finding::good("udp", tried, chain(&error).to_string()).bad(advice(&error)),
        }
    }

    fn host(&self) -> &str {
        host(self.address)
    }
}

/// Whether the broker takes us: our handshake ends before it has looked at our certificate, and only whom it takes
/// it opens a stream to.
async fn taken(tried: String, tunnel: &Tunnel) -> Finding {
    let opened = timeout(DEADLINE, tunnel.accept()).await;
    let seen = format!("{}, round trip {} ms", tunnel.peer(), tunnel.stats().rtt.as_millis());
    tunnel.close(Code::Done);
    // A broker that does not hear of it loses the tunnel by its idle time.
    let _late = timeout(FLUSH, tunnel.flushed()).await;
    let finding = Finding::good("udp", tried, seen);
    match opened {
        Ok(Ok(_)) => finding,
        Ok(Err(closed)) => {
            Finding { seen: format!("{}; {}", finding.seen, chain(&closed)), ..finding }.bad(REFUSED)
        }
        Err(_) => {
            Finding { seen: format!("{}; it opens no stream", finding.seen), ..finding }.doubtful(SILENT)
        }
    }
}

async fn shake(address: SocketAddr, host: &str, belief: &Belief) -> io::Result<()> {
    let config = tls::enroll_client(belief.mesh()).map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let shaken = timeout(DEADLINE, async {
        let tcp = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await.map(drop)
    });
    shaken.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// TLS that failed for `error`, by who answered instead.
fn judge(tried: String, error: &io::Error, shown: &[CertificateDer<'_>]) -> Finding {
    let Some(leaf) = shown.first() else {
        return Finding::good("broker-tls", tried, error.to_string()).bad(NO_TLS);
    };
    let read = Summary::read(leaf).ok();
    let is_broker = read.as_ref().is_some_and(|read| read.role == Some(Role::Broker));
    let who = read.map_or_else(
        || "a certificate that cannot be read".to_owned(),
        |read| format!("{} [{}] until {}", read.subject, read.names.join(" "), read.not_after),
    );
    let finding = Finding::good("broker-tls", tried, format!("{error}; shown is {who}"));
    finding.bad(if is_broker { OTHER_ROOTS } else { INTERCEPTED })
}

const fn advice(error: &DialError) -> &'static str {
    match error {
        DialError::Deadline(_) | DialError::Handshake(_, tunnel_transport::Closed::TimedOut) => OPEN_UDP,
        DialError::Socket(_) | DialError::Connect(..) | DialError::Config(_) => NO_ROUTE,
        DialError::Handshake(..) | DialError::Peer(..) => REFUSED,
    }
}

/// What does not matter to a replica that has its mesh certificate; somebody else's certificate always does.
fn mild(finding: Finding) -> Finding {
    let shown = [INTERCEPTED, OTHER_ROOTS].contains(&finding.advice.as_str());
    if finding.verdict == Verdict::Bad && !shown { finding.doubtful(TCP_LATER) } else { finding }
}

/// A broker that is reached at one of its addresses is reached; the others only cost time.
fn settled(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.iter().any(|finding| finding.verdict == Verdict::Good) {
        for finding in &mut findings {
            finding.verdict =
                if finding.verdict == Verdict::Bad { Verdict::Doubtful } else { finding.verdict };
        }
    }
    findings
}

/// More brokers than any vendor has.
const MOST: usize = 8;
/// One of each family.
const ADDRESSES: usize = 2;
/// A person waits for it.
const DEADLINE: Duration = Duration::from_secs(5);
/// For the farewell only.
const FLUSH: Duration = Duration::from_secs(1);
const OPEN_UDP: &str = "open UDP to this address in the firewall of this network, and let answers back in; the broker may be down, too";
const NO_ROUTE: &str =
    "this machine cannot send there: look at its routes, and whether it has the address family";
const REFUSED: &str = "look at mesh-cert, trust-bundle and clock above; if they are good, ask the vendor whether this replica is banned";
const SILENT: &str = "the broker may be overloaded, or packets are lost on the way: try again";
const NO_TLS: &str = "something on the way ends the connection: an inspecting firewall, a load balancer that speaks TLS itself; or \
                      the vendor's broker does not enroll";
const OTHER_ROOTS: &str = "a broker's certificate that we cannot verify: take the vendor's newest trust bundle (`tunnel-client roots import \
                           FILE`), and check the clock";
const INTERCEPTED: &str = "somebody else answers for the broker: TLS is intercepted, which Postern refuses. Ask for an exception for this \
                           address";
const TCP_LATER: &str = "tunnels go over UDP and do without it; open TCP to this address still: a client enrolls over it, and comes back \
                         after its mesh certificate ran out";
