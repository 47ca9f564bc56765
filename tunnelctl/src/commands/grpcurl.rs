//! The line that grpcurl needs, ready to paste into a shell.

use std::path::Path;

use tunnel_runtime::layout::quoted;

use crate::session::{CA, CERTIFICATE, KEY, Session};

/// The grpcurl command for the door at `host`; `what` is a method or `list`.
pub(super) fn line(session: &Session, host: &str, protosets: &[&Path], what: &str) -> String {
    let mut words = vec!["grpcurl".to_owned()];
    for (flag, file) in [("-cacert", CA), ("-cert", CERTIFICATE), ("-key", KEY)] {
        words.extend([flag.into(), quoted(&session.file(file).display().to_string())]);
    }
    for protoset in protosets {
        words.extend(["-protoset".into(), quoted(&protoset.display().to_string())]);
    }
    if session.connect_address.is_some() {
        words.extend(["-servername".into(), host.into()]);
    }
    words.extend([session.address(host), what.into()]);
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::sample;

    #[test]
    fn names_the_door_when_dns_does_not() {
        let session = sample("/run/p", Some("127.0.0.1:8443"));
        let host = session.doors.values().next().unwrap();
        let expected = format!(
            "grpcurl -cacert /run/p/ca.pem -cert /run/p/cert.pem -key /run/p/key.pem -servername {host} 127.0.0.1:8443 list"
        );
        assert_eq!(line(&session, host, &[], "list"), expected);
    }

    #[test]
    fn goes_to_the_door_itself_otherwise() {
        let session = sample("/run/p", None);
        let host = session.doors.values().next().unwrap();
        let line = line(&session, host, &[Path::new("a b.pb")], "a.B/C");
        assert!(line.ends_with(&format!(" -protoset 'a b.pb' {host}:443 a.B/C")), "{line}");
    }
}
