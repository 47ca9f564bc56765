//! Who answers TLS, and whether it is who should: a handshake that only looks at the certificate and never goes on.

use std::{io, net::SocketAddr, time::Duration};

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    rustls::{AlertDescription, Error},
};
use tunnel_certs::{tls::Witness, verify::Summary};
use tunnel_runtime::doctor::Finding;

/// What a TLS server at an address showed.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Its certificates, unverified.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// How the handshake ended.
    pub(crate) error: String,
    /// It knows no such name: what a broker says of a door that does not exist.
    pub(crate) unknown_name: bool,
}

/// Shakes hands until the certificate is seen, and then breaks off.
pub(crate) async fn look(address: SocketAddr, host: &str) -> Shown {
    let witness = Witness::default();
    let ended = timeout(DEADLINE, shake(address, host, &witness)).await;
    let error = ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).err();
    Shown {
        chain: witness.chain().to_vec(),
        unknown_name: error.as_ref().is_some_and(is_unknown_name),
        error: error.map(|error| error.to_string()).unwrap_or_default(),
    }
}

async fn shake(address: SocketAddr, host: &str, witness: &Witness) -> io::Result<()> {
    let config = witness.client(&[b"h2"]).map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(config).connect(name, tcp).await.map(drop)
}

/// The API's TLS that failed for `trouble`, with who answered instead.
pub(crate) fn refused(tried: String, trouble: &str, shown: &Shown, name: &str) -> Finding {
    let Some(leaf) = shown.chain.first() else {
        return Finding::good("api-tls", tried, format!("{trouble}; {}", shown.error)).bad(NO_TLS);
    };
    let names = Summary::read(leaf).map(|leaf| leaf.names).unwrap_or_default();
    let fits = names.iter().any(|shown| covers(shown, name));
    let seen = format!("{trouble}; the server shows {}", describe(&shown.chain));
    Finding::good("api-tls", tried, seen).bad(if fits { OTHER_CHAIN } else { OTHER_NAME })
}

/// A door that does not exist: a broker knows no such name, and shows no certificate at all.
pub(crate) fn door(tried: String, shown: &Shown) -> Finding {
    let finding = |seen: String| Finding::good("door-tls", tried, seen);
    if !shown.chain.is_empty() {
        let seen = format!("a certificate where none belongs: {}", describe(&shown.chain));
        return finding(seen).bad(INTERCEPTED);
    }
    if shown.unknown_name {
        return finding("the broker reads the name and knows no such door, as it should".into());
    }
    finding(shown.error.clone()).bad(NO_TLS)
}

/// Subjects, names and end of each certificate.
fn describe(chain: &[CertificateDer<'_>]) -> String {
    let shown = chain.iter().take(MOST_SHOWN).map(|der| match Summary::read(der) {
        Ok(summary) => {
            format!("{} [{}] until {}", summary.subject, summary.names.join(" "), summary.not_after)
        }
        Err(error) => error.to_string(),
    });
    shown.collect::<Vec<_>>().join(" < ")
}

fn covers(shown: &str, name: &str) -> bool {
    let wildcard = |rest| name.split_once('.').is_some_and(|(_, of)| of == rest);
    shown == name || shown.strip_prefix("*.").is_some_and(wildcard)
}

fn is_unknown_name(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::AlertReceived(AlertDescription::UnrecognisedName)))
}

/// A person waits for it.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longer chains say nothing more.
const MOST_SHOWN: usize = 4;
const NO_TLS: &str = "something on the way ends the connection: an inspecting firewall, a load balancer that speaks TLS itself, or a \
                      broker that is not one. It must pass TLS 1.3 through untouched";
const OTHER_NAME: &str = "the certificate is for another name: check --api and --api-name of your login; if the name is a proxy's or a \
                          firewall's, TLS is intercepted and needs an exception";
const OTHER_CHAIN: &str = "the name is right: log in again with the present CA (--api-ca), or get an identity by the present operator CA; \
                           if the issuer is your own company, TLS is intercepted and needs an exception";
const INTERCEPTED: &str = "TLS to doors is intercepted: sessions are end to end and refuse it. Ask for an exception for this address";
