//! All pairs of role and place: a certificate opens its own place and no other.
//!
//! One CA signs all of them and is trusted in all places, so that only path and usages can tell them apart.

use rustls_pki_types::{CertificateDer, ServerName};

use crate::{
    identity::Role,
    issue::CaKind,
    testing::{Ca, NOW, gate_shape, identities, label, shape, suffix},
    verify::{GateServerVerifier, VerifyError},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A broker, dialed by replicas.
    Tunnels,
    /// A broker, dialed by its peers.
    Peers,
    /// A replica, looking at the broker it dialed.
    DialedBroker,
    /// The operators' API, and the signature of a request.
    Operators,
    /// A gate.
    Gate,
    /// An operator, looking at the gate.
    DialedGate,
}

const PLACES: [Place; 6] =
    [Place::Tunnels, Place::Peers, Place::DialedBroker, Place::Operators, Place::Gate, Place::DialedGate];

fn present(ca: &Ca, der: &CertificateDer<'static>, place: Place) -> Result<(), VerifyError> {
    let chain = std::slice::from_ref(der);
    match place {
        Place::Tunnels => ca.mesh().verify(chain, Role::Replica, NOW).map(|_| ()),
        Place::Peers | Place::DialedBroker => ca.mesh().verify(chain, Role::Broker, NOW).map(|_| ()),
        Place::Operators => ca.operators().verify(chain, NOW).map(|_| ()),
        Place::Gate => ca.grants().verify(chain, NOW).map(|_| ()),
        Place::DialedGate => {
            let name = ServerName::try_from(format!("door.{}.{}", label(), suffix())).unwrap();
            GateServerVerifier::new(ca.roots()).verify(chain, &name, NOW)
        }
    }
}

fn own_places(role: &str) -> &'static [Place] {
    match role {
        "broker" => &[Place::Peers, Place::DialedBroker],
        "replica" => &[Place::Tunnels],
        "operator" => &[Place::Operators],
        "grant" => &[Place::Gate],
        "gate server" => &[Place::DialedGate],
        _ => &[],
    }
}

fn certificates(ca: &Ca) -> Vec<(&'static str, CertificateDer<'static>)> {
    let mut all: Vec<_> =
        identities().iter().map(|identity| (identity.role().name(), ca.forge(&shape(identity)))).collect();
    all.push(("gate server", ca.forge(&gate_shape())));
    all.push(("CA", ca.authority.certificate().clone()));
    all
}

#[test]
fn a_certificate_of_one_role_is_refused_in_every_other_place() {
    let ca = Ca::new(CaKind::Access);
    for (role, der) in certificates(&ca) {
        for place in PLACES {
            let accepted = present(&ca, &der, place).is_ok();
            assert_eq!(accepted, own_places(role).contains(&place), "{role} at {place:?}");
        }
    }
}

#[test]
fn the_right_path_with_the_usages_of_another_role_is_refused() {
    let ca = Ca::new(CaKind::Access);
    for identity in identities() {
        for other in identities().iter().map(shape).chain([gate_shape()]) {
            let mut parameters = shape(&identity);
            if parameters.extended_key_usages == other.extended_key_usages {
                continue;
            }
            parameters.extended_key_usages = other.extended_key_usages;
            let der = ca.forge(&parameters);
            for place in PLACES {
                assert!(present(&ca, &der, place).is_err(), "{identity} at {place:?}");
            }
        }
    }
}

#[test]
fn the_right_usages_with_the_path_of_another_role_are_refused() {
    let ca = Ca::new(CaKind::Access);
    let [broker, replica, operator, grant] = identities();
    for (identity, place) in [
        (&replica, Place::Operators),
        (&operator, Place::Gate),
        (&grant, Place::Operators),
        (&operator, Place::Tunnels),
        (&broker, Place::Tunnels),
    ] {
        let mut parameters = shape(identity);
        parameters.extended_key_usages = shape(&replica).extended_key_usages;
        assert_eq!(present(&ca, &ca.forge(&parameters), place), Err(VerifyError::WrongRole), "{identity}");
    }
}

#[test]
fn every_place_refuses_the_ca_of_another() {
    let (ca, other) = (Ca::new(CaKind::Access), Ca::new(CaKind::Access));
    for (role, der) in certificates(&other) {
        for place in PLACES {
            assert!(present(&ca, &der, place).is_err(), "{role} at {place:?}");
        }
    }
}
