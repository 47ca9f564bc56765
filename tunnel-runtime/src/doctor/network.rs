//! Names, TCP and proxies. Every step has a deadline.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};

use super::Finding;

/// The addresses of `host:port`, at most `MOST`.
pub async fn resolve(address: &str) -> (Finding, Vec<SocketAddr>) {
    let began = Instant::now();
    let found = match timeout(DEADLINE, lookup_host(address)).await {
        Ok(Ok(found)) => found.take(MOST).collect::<Vec<_>>(),
        Ok(Err(error)) => return (unresolved(address, error.to_string()), Vec::new()),
        Err(_) => return (unresolved(address, late()), Vec::new()),
    };
    if found.is_empty() {
        return (unresolved(address, "the name has no address".to_owned()), found);
    }
    let told: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
    (Finding::good("dns", address, format!("{} in {}", told.join(", "), took(began))), found)
}

fn unresolved(address: &str, seen: String) -> Finding {
    Finding::good("dns", address, seen).bad("check the name, and that this machine's resolver knows it")
}

/// Whether TCP connects.
pub async fn tcp(address: SocketAddr) -> Finding {
    let began = Instant::now();
    let tried = address.to_string();
    match timeout(DEADLINE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Finding::good("tcp", tried, format!("connected in {}", took(began))),
        Ok(Err(error)) => Finding::good("tcp", tried, error.to_string()).bad(OPEN_TCP),
        Err(_) => Finding::good("tcp", tried, late()).bad(OPEN_TCP),
    }
}

/// What the environment says of proxies: nothing of Postern goes through one, so it is told, not judged.
pub fn proxies(environment: &BTreeMap<String, String>) -> Finding {
    let named = environment.keys().filter(|name| PROXIES.contains(&name.to_ascii_uppercase().as_str()));
    let named: Vec<_> = named.map(String::as_str).collect();
    let finding = |seen: String| Finding::good("proxy", "the environment", seen);
    if named.is_empty() {
        return finding("no proxy is set".to_owned());
    }
    finding(format!("{} set", named.join(", "))).doubtful(
        "Postern dials directly and takes no notice of proxies: open UDP and TCP to the broker's addresses",
    )
}

fn took(began: Instant) -> String {
    format!("{} ms", began.elapsed().as_millis())
}

fn late() -> String {
    format!("no answer within {} s", DEADLINE.as_secs())
}

/// A person waits for it.
const DEADLINE: Duration = Duration::from_secs(5);
/// More addresses of one name tell nothing new.
const MOST: usize = 8;
const OPEN_TCP: &str = "open TCP to this address in the firewall of this network";
const PROXIES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[tokio::test]
    async fn a_listener_is_found_and_a_closed_port_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (finding, found) = resolve(&address.to_string()).await;
        assert_eq!((finding.verdict, found), (Verdict::Good, vec![address]));
        assert_eq!(tcp(address).await.verdict, Verdict::Good);
        drop(listener);
        assert_eq!(tcp(address).await.verdict, Verdict::Bad);
    }

    #[tokio::test]
    async fn an_address_without_a_port_is_told() {
        let (finding, found) = resolve("no port").await;
        assert_eq!((finding.verdict, found.len()), (Verdict::Bad, 0));
    }

    #[test]
    fn proxies_are_named_and_their_values_are_not() {
        let environment = [("https_proxy".to_owned(), "http://user:secret@proxy:3128".to_owned())].into();
        let finding = proxies(&environment);
        assert_eq!(finding.verdict, Verdict::Doubtful);
        assert!(finding.seen.contains("https_proxy") && !finding.seen.contains("secret"));
        assert_eq!(proxies(&BTreeMap::new()).verdict, Verdict::Good);
    }
}
