//! Where the webhook goes: `https://`, or `http://` on this machine only.

use std::{fmt, net::IpAddr, str::FromStr};

use http::{Uri, uri::Scheme};

/// A receiver's URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) transport: Transport,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authority: String,
    pub(super) path: String,
}

/// What carries the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Tls,
    Plain,
}

impl Endpoint {
    /// Without its path, which some receivers use as a secret.
    pub fn shown(&self) -> String {
        let scheme = match self.transport {
            Transport::Tls => "https",
            Transport::Plain => "http",
        };
        format!("{scheme}://{}/…", self.authority)
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| "not a URL")?;
        let authority = uri.authority().ok_or("not a URL: https://host/path")?.clone();
        if authority.as_str().contains('@') {
            return Err("a URL must not carry a password; the shared secret signs each message");
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (transport, standard) = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => (Transport::Tls, 443),
            Some(scheme) if *scheme == Scheme::HTTP && is_here(&host) => (Transport::Plain, 80),
            _ => return Err("not https:// (http:// is for this machine only)"),
        };
        let port = authority.port_u16().unwrap_or(standard);
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { transport, host, port, authority: authority.to_string(), path })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_only_here() {
        for good in [
            "https://hooks.example/a?b=c",
            "https://[2001:db8::1]:8443/",
            "http://127.0.0.1:9/x",
            "http://[::1]/",
            "http://localhost",
        ] {
            assert!(good.parse::<Endpoint>().is_ok(), "{good}");
        }
        for bad in ["http://hooks.example/", "ftp://x/", "hooks.example", "/path", "https://u:p@x/", ""] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_path_is_shown_nowhere() {
        let endpoint: Endpoint = "https://hooks.example/services/T0/SECRET".parse().unwrap();
        assert_eq!(
            format!("{endpoint:?} {}", endpoint.shown()),
            "https://hooks.example/… https://hooks.example/…"
        );
        assert_eq!(
            (endpoint.host.as_str(), endpoint.port, endpoint.path.as_str()),
            ("hooks.example", 443, "/services/T0/SECRET")
        );
    }
}
