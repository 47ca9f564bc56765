use tunnel_certs::verify::Serial;
use tunnel_protos::{GrantId, RequestId, UnixMillis};

use super::*;
use crate::gate::{
    grants::{self, GrantsWriter, Life, Over},
    testing,
};

const SERIAL: Serial = Serial::new([7; 16]);

fn door(seed: u8) -> Door {
    Door::from_random([seed; 17])
}

/// Two grants behind doors 1 and 2; the serial is of the first.
fn two() -> (GrantsWriter, GrantsView, GrantId) {
    let (writer, view) = grants::channel();
    let (one, two) = (testing::content(&[], door(1)), testing::content(&[], door(2)));
    let id = one.id;
    for content in [one, two] {
        writer.put(content, Life::Active { until: UnixMillis(i64::MAX) });
    }
    writer.add_serial(&id, SERIAL);
    (writer, view, id)
}

fn certificate(grant: GrantId, serial: Serial) -> GrantCertificate {
    GrantCertificate { grant, serial, not_before: UnixMillis(0), not_after: UnixMillis(1) }
}

fn refused(certificate: GrantCertificate, door: &Door, view: &GrantsView) -> Mismatch {
    admit(certificate, door, view).map(drop).unwrap_err()
}

#[test]
fn the_first_label_of_the_server_name_is_the_door() {
    let own = door(1);
    let host = format!("{own}.k3v7aaaaaa.tunnel.example");
    assert_eq!(server_name(Some(&host), &own), Ok(()));
    for wrong in [None, Some(""), Some("tunnel.example"), Some(&host[1..])] {
        assert_eq!(server_name(wrong, &own), Err(Mismatch::ServerName), "{wrong:?}");
    }
    assert_eq!(server_name(Some(&host), &door(2)), Err(Mismatch::ServerName));
}

#[test]
fn a_known_serial_at_its_grants_door_is_admitted_even_if_the_grant_is_over() {
    let (writer, view, id) = two();
    assert!(admit(certificate(id, SERIAL), &door(1), &view).is_ok());
    writer.set_life(&id, Life::Over(Over::Revoked));
    assert!(admit(certificate(id, SERIAL), &door(1), &view).is_ok());
}

#[test]
fn an_unknown_serial_is_refused() {
    let (_writer, view, id) = two();
    assert_eq!(refused(certificate(id, Serial::new([8; 16])), &door(1), &view), Mismatch::Serial);
}

#[test]
fn the_serial_must_be_of_the_grant_that_the_certificate_names() {
    let (_writer, view, _) = two();
    let other = view.door(&door(2)).unwrap().grant().id;
    assert_eq!(refused(certificate(other, SERIAL), &door(2), &view), Mismatch::Grant);
    assert_eq!(refused(certificate(RequestId::random().into(), SERIAL), &door(1), &view), Mismatch::Grant);
}

#[test]
fn the_door_must_be_of_the_certificates_grant() {
    let (_writer, view, id) = two();
    assert_eq!(refused(certificate(id, SERIAL), &door(2), &view), Mismatch::OtherDoor);
    assert_eq!(refused(certificate(id, SERIAL), &door(3), &view), Mismatch::Door);
}

#[test]
fn one_grant_cannot_take_all_streams_of_a_tunnel() {
    assert_eq!([0, SESSIONS - 1].map(room), [Room::Serve; 2]);
    assert_eq!([SESSIONS, 2 * SESSIONS - 1].map(room), [Room::Tell; 2]);
    assert_eq!([2 * SESSIONS, usize::MAX].map(room), [Room::Refuse; 2]);
}

#[test]
fn a_session_in_which_no_call_can_pass_is_not_recorded() {
    let (writer, view, id) = two();
    let admitted = admit(certificate(id, SERIAL), &door(1), &view).unwrap();
    let recorded = |room, now| admitted.is_recorded(room, UnixMillis(now));
    assert!(recorded(Room::Serve, 1));
    assert!(!recorded(Room::Serve, 2), "the certificate is over");
    assert!(!recorded(Room::Tell, 1));
    writer.set_life(&id, Life::Over(Over::Ended));
    assert!(!recorded(Room::Serve, 1), "the grant is over");
}
