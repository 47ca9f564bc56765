//! Where a connection goes, by server name and application protocol alone. Pure; knows nothing of live tunnels.

use tunnel_certs::tls::ENROLL_ALPN;
use tunnel_protos::{DoorName, Suffix};

use super::hello::ClientHello;

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// To enrollment, whose TLS ends here.
    Enroll,
    /// To the operators' API, whose TLS ends here.
    Api,
    /// To a gate behind a tunnel; its TLS passes through unread.
    Door(DoorName),
    /// Nowhere: no such name here.
    Refuse,
}

/// Decides by the hello's protocol for enrollment, which comes by whatever name was dialed, or none; else by the server
/// name, without which there is no way.
pub(crate) fn route(hello: &ClientHello, suffix: &Suffix) -> Route {
    if enrolls(hello) {
        return Route::Enroll;
    }
    let Some(name) = hello.server_name.as_deref() else { return Route::Refuse };
    if !speaks_h2(hello) {
        return Route::Refuse;
    }
    if suffix.strip(name) == Some("api") {
        return Route::Api;
    }
    DoorName::parse(name, suffix).map_or(Route::Refuse, Route::Door)
}

/// Only a hello that offers nothing else, so that no TLS configuration is chosen by what the peer leaves open.
fn enrolls(hello: &ClientHello) -> bool {
    hello.protocols == [ENROLL_ALPN]
}

/// Replicas' protocols over TCP come with their carrier; until then only gRPC has a way in. A hello that offers
/// nothing passes: the end that terminates TLS decides.
fn speaks_h2(hello: &ClientHello) -> bool {
    hello.protocols.is_empty() || hello.protocols.iter().any(|name| name == b"h2")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOOR: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa.k3v7aaaaaa.tunnel.example";

    fn to(name: Option<&str>, protocols: &[&str]) -> Route {
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let hello = ClientHello { server_name: name.map(str::to_owned), protocols };
        route(&hello, &"tunnel.example".parse().unwrap())
    }

    #[test]
    fn the_api_has_its_own_name() {
        assert_eq!(to(Some("api.tunnel.example"), &["h2"]), Route::Api);
        assert_eq!(to(Some("api.tunnel.example"), &[]), Route::Api);
    }

    #[test]
    fn a_door_is_door_label_suffix() {
        let Route::Door(name) = to(Some(DOOR), &["h2"]) else { panic!("no door") };
        assert_eq!(name.label.as_str(), "k3v7aaaaaa");
    }

    #[test]
    fn every_other_name_is_refused() {
        for name in
            ["tunnel.example", "x.api.tunnel.example", "k3v7aaaaaa.tunnel.example", "localhost", "127.0.0.1"]
        {
            assert_eq!(to(Some(name), &["h2"]), Route::Refuse, "{name}");
        }
        assert_eq!(to(None, &["h2"]), Route::Refuse);
    }

    #[test]
    fn enrollment_is_told_by_its_protocol_alone() {
        for name in [None, Some("broker.tunnel.example"), Some("api.tunnel.example"), Some(DOOR), Some("x")] {
            assert_eq!(to(name, &["postern-enroll/1"]), Route::Enroll, "{name:?}");
        }
        assert_eq!(to(Some("b.tunnel.example"), &["postern-enroll/1", "http/1.1"]), Route::Refuse);
        assert_eq!(to(Some("api.tunnel.example"), &["h2", "postern-enroll/1"]), Route::Api);
    }

    #[test]
    fn unknown_protocols_are_refused() {
        assert_eq!(to(Some(DOOR), &["http/1.1"]), Route::Refuse);
        assert_eq!(to(Some(DOOR), &["postern-h2/1"]), Route::Refuse);
    }
}
