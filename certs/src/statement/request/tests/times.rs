//! Issued, received, expires.

use super::*;
use crate::testing::{DAY, MINUTE};

#[test]
fn is_issued_within_the_certificates_life() {
    let world = World::new();
    let before = world.fault(|m| m.issued_ms = NOW.minus(2 * MINUTE).0);
    assert_eq!(before, Fault::Issued);
    let edge = world.fault(|m| {
        m.issued_ms = NOW.minus(MINUTE).0;
        m.version = 2;
    });
    assert_eq!(edge, Fault::Version(2), "the first moment is good");
}

#[test]
fn is_at_most_two_minutes_in_the_future() {
    let world = World::new();
    let mut message = world.request().to_message();
    message.issued_ms = NOW.plus(2 * MINUTE).0;
    assert!(world.open(&world.sign(&message)).is_ok());
    assert_eq!(world.fault(|m| m.issued_ms = NOW.plus(2 * MINUTE).0 + 1), Fault::Future);
}

#[test]
fn a_clock_that_is_later_now_does_not_make_the_future_good() {
    let world = World::new();
    let mut message = world.request().to_message();
    message.issued_ms = NOW.plus(10 * MINUTE).0;
    let refused = open(&world.sign(&message), world.place(), NOW, NOW.plus(HOUR)).unwrap_err();
    assert_eq!(fault_of(refused), Fault::Future);
}

#[test]
fn has_not_expired() {
    let world = World::new();
    let bytes = world.sign(&world.request().to_message());
    let end = NOW.plus(4 * HOUR);
    assert!(open(&bytes, world.place(), end.minus(MINUTE), end.minus(MINUTE)).is_ok());
    for (received, now) in [(end, end), (NOW, end), (end, NOW)] {
        let refused = open(&bytes, world.place(), received, now).unwrap_err();
        assert_eq!(fault_of(refused), Fault::Expired);
    }
}

#[test]
fn lives_at_most_24_hours() {
    let world = World::new();
    assert_eq!(world.fault(|m| m.expires_ms = NOW.plus(DAY).0 + 1), Fault::Life);
    assert_eq!(world.fault(|m| m.expires_ms = NOW.0), Fault::Life);
    assert_eq!(world.fault(|m| m.expires_ms = i64::MIN), Fault::Life);
    assert_eq!(world.fault(|m| m.expires_ms = i64::MAX), Fault::Life);
}

#[test]
fn never_outlives_the_operators_certificate() {
    let world = World::new();
    let mut message = world.request().to_message();
    message.expires_ms = NOW.plus(8 * HOUR).0;
    assert!(world.open(&world.sign(&message)).is_ok());
    assert_eq!(world.fault(|m| m.expires_ms = NOW.plus(8 * HOUR).0 + 1), Fault::OutlivesCertificate);
}
