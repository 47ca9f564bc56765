//! Where one target of the engine listens, as the profile writes it.

use std::{fmt, path::PathBuf, str::FromStr};

/// A text that is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an endpoint: http://host:port (HTTP/2 in the clear), https://host:port or unix:/path")]
pub struct EndpointError;

/// Where to connect to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// HTTP/2 with prior knowledge over TCP (`http://`).
    H2c(Authority),
    /// HTTP/2 over TLS (`https://`), mutual if the profile names a certificate.
    Tls(Authority),
    /// HTTP/2 with prior knowledge over a Unix socket (`unix:/path`).
    Unix(PathBuf),
}

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// A DNS name or an address, without brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

impl Endpoint {
    /// What `:authority` says toward the engine.
    pub fn authority(&self) -> String {
        match self {
            Self::H2c(authority) | Self::Tls(authority) => authority.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// What `:scheme` says toward the engine.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Tls(_) => "https",
            Self::H2c(_) | Self::Unix(_) => "http",
        }
    }

    /// Whether bytes to it pass through TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if let Some(rest) = text.strip_prefix("https://") {
            return rest.parse().map(Self::Tls);
        }
        if let Some(rest) = text.strip_prefix("http://") {
            return rest.parse().map(Self::H2c);
        }
        let path = text.strip_prefix("unix:").ok_or(EndpointError)?;
        // `unix:///path` is the same in gRPC's own naming.
        let path = path.strip_prefix("//").unwrap_or(path);
        let absolute = path.starts_with('/') && !path.ends_with('/');
        absolute.then(|| Self::Unix(path.into())).ok_or(EndpointError)
    }
}

impl FromStr for Authority {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let parsed: http::uri::Authority = text.parse().map_err(|_| EndpointError)?;
        let port = parsed.port_u16().filter(|port| *port != 0).ok_or(EndpointError)?;
        let host = parsed.host().trim_start_matches('[').trim_end_matches(']');
        let plain = !text.contains('@') && !host.is_empty();
        plain.then(|| Self { host: host.to_owned(), port }).ok_or(EndpointError)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::H2c(authority) => write!(f, "http://{authority}"),
            Self::Tls(authority) => write!(f, "https://{authority}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_kinds() {
        for text in
            ["http://127.0.0.1:2379", "https://etcd-0.etcd:2379", "https://[::1]:1", "unix:/run/e.sock"]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        let endpoint: Endpoint = "https://[::1]:7".parse().unwrap();
        assert_eq!(endpoint, Endpoint::Tls(Authority { host: "::1".into(), port: 7 }));
        assert_eq!(endpoint.authority(), "[::1]:7");
        assert_eq!("unix:///a".parse::<Endpoint>(), "unix:/a".parse());
    }

    #[test]
    fn refuses_everything_else() {
        for bad in [
            "",
            "127.0.0.1:1",
            "http://host",
            "http://host:0",
            "http://host:99999",
            "http://host:1/path",
            "http://user@host:1",
            "http://:1",
            "ftp://host:1",
            "unix:relative",
            "unix:/",
            "unix://",
        ] {
            assert_eq!(bad.parse::<Endpoint>(), Err(EndpointError), "{bad}");
        }
    }
}
