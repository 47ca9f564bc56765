//! Who answers TLS where a broker should: a handshake that only looks at the certificate and never goes on.
//!
//! It speaks of enrollment only: a broker without it says so and shows nothing, so what is shown is no broker's API.

use std::{io, net::SocketAddr, time::Duration};

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tunnel_certs::tls::{ENROLL_ALPN, Witness};

/// The certificates that are shown, unverified; none if the handshake does not come so far.
pub(super) async fn look(
    address: SocketAddr,
    host: &str,
    deadline: Duration,
) -> Vec<CertificateDer<'static>> {
    let witness = Witness::default();
    // It always fails: what was seen until then is all that is wanted.
    let _refused = timeout(deadline, shake(address, host, &witness)).await;
    witness.chain().to_vec()
}

async fn shake(address: SocketAddr, host: &str, witness: &Witness) -> io::Result<()> {
    let config = witness.client(&[ENROLL_ALPN]).map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(config).connect(name, tcp).await.map(drop)
}
