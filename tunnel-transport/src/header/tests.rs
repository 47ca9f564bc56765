use proptest::prelude::*;

use super::*;

fn door() -> Door {
    Door::from_random([7; 17])
}

fn label() -> Label {
    Label::from_random([9; 17])
}

fn wire(kind: v1::StreamKind) -> v1::Header {
    v1::Header { kind: kind.into(), ..Default::default() }
}

fn trace(traceparent: &str, tracestate: &str) -> v1::Trace {
    v1::Trace { traceparent: traceparent.into(), tracestate: tracestate.into() }
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn every_kind_survives_the_wire() {
    let (door, label) = (door(), label());
    for kind in [Kind::Control, Kind::Session { door }, Kind::Probe, Kind::Forward { label, door }] {
        let peer = Some("[2001:db8::1]:443".parse().unwrap());
        let sent = Header { kind, peer, trace: Some(trace(PARENT, "a=b")) };
        let mut buffer = bytes::BytesMut::from(&sent.encode().unwrap()[..]);
        let frame = frame::decode(&mut buffer, HEADER_CAP).unwrap().unwrap();
        assert_eq!(Header::decode(frame), Ok(sent));
    }
}

#[test]
fn a_session_needs_a_door() {
    let missing = Header::try_from(wire(v1::StreamKind::Session));
    assert_eq!(missing, Err(HeaderError::Field("door")));
    let bad = v1::Header { door: "x".into(), ..wire(v1::StreamKind::Session) };
    assert_eq!(Header::try_from(bad).unwrap_err().code(), Code::Malformed);
}

#[test]
fn a_forwarded_session_needs_a_label() {
    let bad = v1::Header { door: door().to_string(), ..wire(v1::StreamKind::Forward) };
    assert_eq!(Header::try_from(bad), Err(HeaderError::Field("label")));
}

#[test]
fn an_unknown_kind_has_its_own_code() {
    for kind in [0, 5, -1, i32::MAX] {
        let error = Header::try_from(v1::Header { kind, ..Default::default() }).unwrap_err();
        assert_eq!(error.code(), Code::UnknownKind);
    }
}

#[test]
fn a_claimed_peer_is_an_address_or_nothing() {
    let bad = v1::Header { peer: "evil\u{1b}[2J".into(), ..wire(v1::StreamKind::Probe) };
    assert_eq!(Header::try_from(bad), Err(HeaderError::Field("peer")));
}

#[test]
fn a_malformed_trace_is_dropped() {
    for bad in [
        trace("", ""),
        trace("00-xyz", ""),
        trace(&PARENT.to_uppercase(), ""),
        trace(PARENT, "a\nb"),
        trace(PARENT, &"a".repeat(513)),
    ] {
        let header = v1::Header { trace: Some(bad), ..wire(v1::StreamKind::Probe) };
        assert_eq!(Header::try_from(header).unwrap().trace, None);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Header::decode(bytes.into());
    }
}
