//! "Issuing a grant certificate", rule by rule, and what holds for all certificates.

mod mesh;

use std::{collections::HashSet, sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use x509_parser::{
    certification_request::X509CertificationRequest, extensions::ParsedExtension, prelude::FromDer,
};

use super::*;
use crate::{
    csr::{self, CsrError},
    identity::{Identity, Role},
    key::{KeyError, Signer, SigningKey},
    roots::Roots,
    testing::{
        Ca, DAY, HOUR, MINUTE, NOW, alice, date, dns, ed25519, label, new_grant, p256, suffix, uri, vendor,
    },
    verify::{Leaf, SubjectName, Usages},
};

fn terms() -> GrantTerms {
    GrantTerms { label: label(), grant: new_grant(), ttl: 15 * MINUTE, grant_end: NOW.plus(8 * HOUR) }
}

/// A request that asks for everything it must not get.
fn greedy_csr(key: &rcgen::KeyPair) -> Vec<u8> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any, ExtendedKeyUsagePurpose::ServerAuth];
    parameters.subject_alt_names = vec![dns("tunnel.example"), uri("spiffe://initech/v1/broker/b1")];
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "Postern access CA evil");
    parameters.serialize_request(key).unwrap().der().to_vec()
}

#[test]
fn only_the_public_key_of_a_request_is_used() {
    let ca = Ca::new(CaKind::Access);
    let key = rcgen::KeyPair::generate().unwrap();
    let terms = terms();
    let issued = ca.authority.issue_grant(&greedy_csr(&key), &terms, NOW).unwrap();
    let leaf = Leaf::read(&issued.certificate).unwrap();
    assert_eq!(leaf.p256().unwrap().raw(), key.public_key_raw());
    assert!(!leaf.is_ca);
    assert_eq!(leaf.usages, Usages::CLIENT);
    assert_eq!(leaf.identity(), Ok(Identity::Grant { label: label(), grant: terms.grant }));
    assert_eq!(leaf.subject, format!("CN={}", terms.grant));
    assert_eq!(leaf.not_before, NOW.minus(MINUTE));
    assert_eq!(leaf.not_after, NOW.plus(15 * MINUTE));
}

#[test]
fn a_request_is_signed_by_its_own_key() {
    let key = p256();
    let der = key.csr().unwrap();
    assert_eq!(csr::public_key(&der).as_ref(), Ok(key.public()));
    let (_, parsed) = X509CertificationRequest::from_der(&der).unwrap();
    let signed = parsed.certification_request_info.raw.len();
    for position in (0..signed).chain(der.len() - 64..der.len()) {
        let mut altered = der.clone();
        altered[position] ^= 1;
        assert!(csr::public_key(&altered).is_err(), "byte {position}");
    }
}

#[test]
fn a_request_with_the_key_of_another_is_refused() {
    let (mine, theirs) = (p256(), p256());
    let der = mine.csr().unwrap();
    let (mine, theirs) = (mine.public().raw(), theirs.public().raw());
    let at = der.windows(mine.len()).position(|window| window == mine).unwrap();
    let mut swapped = der.clone();
    swapped[at..at + theirs.len()].copy_from_slice(theirs);
    assert_eq!(csr::public_key(&swapped), Err(CsrError::Signature));
}

#[test]
fn a_request_has_a_p256_key() {
    for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let der = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        assert_eq!(csr::public_key(&der), Err(CsrError::Key));
    }
}

#[test]
fn a_request_is_bounded_and_has_nothing_after_it() {
    let mut der = p256().csr().unwrap();
    der.push(0);
    assert_eq!(csr::public_key(&der), Err(CsrError::Malformed));
    assert_eq!(csr::public_key(&[0; 4097]), Err(CsrError::TooLarge));
    assert_eq!(csr::public_key(&[]), Err(CsrError::Malformed));
}

#[test]
fn every_field_is_ours_and_there_is_no_other() {
    let ca = Ca::new(CaKind::Access);
    let issued = ca.grant(new_grant(), NOW);
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(&issued.certificate).unwrap();
    let names: Vec<_> = certificate.extensions().iter().map(|e| e.oid.to_id_string()).collect();
    let unique: HashSet<_> = names.iter().map(String::as_str).collect();
    let expected = ["2.5.29.35", "2.5.29.17", "2.5.29.15", "2.5.29.37", "2.5.29.14", "2.5.29.19"];
    assert_eq!(names.len(), expected.len());
    assert_eq!(unique, HashSet::from(expected));
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(!constraints.value.ca && constraints.critical, "CA:FALSE is said, not left out");
    assert!(certificate.key_usage().unwrap().unwrap().critical);
}

#[test]
fn names_the_key_of_its_ca() {
    let ca = Ca::new(CaKind::Access);
    let issued = ca.grant(new_grant(), NOW);
    let (_, leaf) = x509_parser::certificate::X509Certificate::from_der(&issued.certificate).unwrap();
    let (_, root) = x509_parser::certificate::X509Certificate::from_der(ca.authority.certificate()).unwrap();
    let authority = leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.clone(),
        _ => None,
    });
    let subject = root.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(found) => Some(found.clone()),
        _ => None,
    });
    assert!(authority.is_some());
    assert_eq!(authority, subject);
}

#[test]
fn serials_are_128_random_bits_and_positive() {
    let ca = Ca::new(CaKind::Access);
    let mut seen = HashSet::new();
    let mut high_bits = 0;
    for _ in 0..64 {
        let issued = ca.grant(new_grant(), NOW);
        let (_, certificate) =
            x509_parser::certificate::X509Certificate::from_der(&issued.certificate).unwrap();
        assert_eq!(certificate.raw_serial()[0] & 0x80, 0, "positive");
        assert_eq!(Leaf::read(&issued.certificate).unwrap().serial, Some(issued.serial));
        high_bits += usize::from(issued.serial.as_bytes()[0] >> 7);
        assert!(seen.insert(issued.serial));
    }
    assert!((1..64).contains(&high_bits), "all 128 bits are random");
}

#[test]
fn a_certificate_lives_15_minutes_at_most() {
    let ca = Ca::new(CaKind::Access);
    let csr = p256().csr().unwrap();
    let greedy = GrantTerms { ttl: DAY, ..terms() };
    let issued = ca.authority.issue_grant(&csr, &greedy, NOW).unwrap();
    assert_eq!(issued.not_after, NOW.plus(15 * MINUTE));
    let modest = GrantTerms { ttl: 5 * MINUTE, ..terms() };
    let issued = ca.authority.issue_grant(&csr, &modest, NOW).unwrap();
    assert_eq!((issued.not_before, issued.not_after), (NOW.minus(MINUTE), NOW.plus(5 * MINUTE)));
}

#[test]
fn a_certificate_never_outlives_its_grant() {
    let ca = Ca::new(CaKind::Access);
    let csr = p256().csr().unwrap();
    let ending = GrantTerms { grant_end: NOW.plus(2 * MINUTE), ..terms() };
    let issued = ca.authority.issue_grant(&csr, &ending, NOW).unwrap();
    assert_eq!(issued.not_after, NOW.plus(2 * MINUTE));
    for end in [NOW, NOW.minus(MINUTE)] {
        let over = GrantTerms { grant_end: end, ..terms() };
        let refused = ca.authority.issue_grant(&csr, &over, NOW);
        assert!(matches!(refused, Err(IssueError::Over("the grant"))));
    }
}

#[test]
fn no_certificate_outlives_its_ca() {
    let ca = Ca::made_at(CaKind::Access, NOW.minus(365 * DAY).plus(5 * MINUTE));
    assert_eq!(ca.grant(new_grant(), NOW).not_after, NOW.plus(5 * MINUTE));
    let old = Ca::made_at(CaKind::Access, NOW.minus(400 * DAY));
    let refused = old.authority.issue_grant(&p256().csr().unwrap(), &terms(), NOW);
    assert!(matches!(refused, Err(IssueError::Over("the CA"))));
}

#[test]
fn lives_are_bounded_by_role() {
    let (mesh, operators) = (Ca::new(CaKind::Mesh), Ca::new(CaKind::Operator));
    let key = p256();
    let longer = |limit: Duration| limit + Duration::from_secs(1);
    let broker =
        |life| mesh.authority.issue_broker(key.public(), &vendor(), &"b1".parse().unwrap(), life, NOW);
    let replica = |life| {
        let id = "r1".parse().unwrap();
        mesh.authority.issue_replica(key.public(), &vendor(), &label(), &id, life, NOW)
    };
    let operator = |life| operators.authority.issue_operator(key.public(), &vendor(), &alice(), life, NOW);
    assert!(matches!(broker(longer(MAX_MESH_LIFE)), Err(IssueError::TooLong { .. })));
    assert!(matches!(replica(longer(MAX_MESH_LIFE)), Err(IssueError::TooLong { .. })));
    assert!(matches!(operator(longer(MAX_OPERATOR_LIFE)), Err(IssueError::TooLong { .. })));
    for der in [broker(MAX_MESH_LIFE).unwrap(), replica(MAX_MESH_LIFE).unwrap()] {
        let role = Leaf::read(&der).unwrap().identity().unwrap().role();
        assert!(mesh.mesh().verify(&[der], role, NOW).is_ok());
    }
    assert!(operators.operators().verify(&[operator(MAX_OPERATOR_LIFE).unwrap()], NOW).is_ok());
}

#[test]
fn each_ca_signs_its_own_roles_only() {
    let key = p256();
    for kind in [CaKind::Mesh, CaKind::Operator, CaKind::Access] {
        let ca = Ca::new(kind);
        let id = "b1".parse().unwrap();
        let results = [
            (CaKind::Mesh, ca.authority.issue_broker(key.public(), &vendor(), &id, HOUR, NOW).err()),
            (
                CaKind::Operator,
                ca.authority.issue_operator(key.public(), &vendor(), &alice(), HOUR, NOW).err(),
            ),
            (CaKind::Access, ca.authority.issue_grant(&key.csr().unwrap(), &terms(), NOW).err()),
            (CaKind::Access, ca.authority.issue_gate_server(&label(), &suffix(), NOW).err()),
        ];
        for (own, error) in results {
            assert_eq!(error.is_none(), own == kind, "{kind:?}");
            assert!(error.is_none_or(|error| matches!(error, IssueError::WrongCa(_))));
        }
    }
}

#[test]
fn only_p256_keys_are_certified() {
    let ca = Ca::new(CaKind::Operator);
    let refused = ca.authority.issue_operator(ed25519().public(), &vendor(), &alice(), HOUR, NOW);
    assert!(matches!(refused, Err(IssueError::Key)));
}

#[test]
fn a_gate_certificate_names_all_doors_and_lives_a_day() {
    let ca = Ca::new(CaKind::Access);
    let credential = ca.authority.issue_gate_server(&label(), &suffix(), NOW).unwrap();
    let leaf = Leaf::read(credential.certificate()).unwrap();
    assert_eq!(leaf.names, [SubjectName::Dns(format!("*.{}.{}", label(), suffix()))]);
    assert_eq!(leaf.usages, Usages::SERVER);
    assert_eq!(credential.validity(), (NOW.minus(MINUTE), NOW.plus(DAY)));
    assert!(credential.identity().is_err());
    let again = ca.authority.issue_gate_server(&label(), &suffix(), NOW).unwrap();
    assert_ne!(credential.key().public(), again.key().public(), "a fresh key each time");
}

#[test]
fn cas_live_as_the_key_table_says_and_sign_leaves_only() {
    for (kind, years) in [(CaKind::Mesh, 5), (CaKind::Operator, 2), (CaKind::Access, 1)] {
        let ca = Ca::made_at(kind, NOW);
        let (not_before, not_after) = ca.authority.validity();
        assert_eq!((not_before, not_after), (NOW.minus(HOUR), NOW.plus(years * 365 * DAY)));
        assert_eq!(ca.authority.kind(), kind);
        let (_, root) =
            x509_parser::certificate::X509Certificate::from_der(ca.authority.certificate()).unwrap();
        let constraints = root.basic_constraints().unwrap().unwrap();
        assert_eq!(constraints.value.path_len_constraint, Some(0));
    }
}

#[test]
fn an_authority_is_a_ca_of_ours_with_its_own_key() {
    let ca = Ca::new(CaKind::Mesh);
    let der = ca.authority.certificate().clone();
    let other: Arc<dyn Signer> = Arc::new(p256());
    assert!(matches!(Authority::from_parts(der.clone(), other), Err(AuthorityError::Mismatch)));
    let leaf = ca.credential(&crate::testing::gate_shape());
    let refused = Authority::from_parts(leaf.certificate().clone(), Arc::clone(leaf.key()) as _);
    assert!(matches!(refused, Err(AuthorityError::Certificate)));
    let refused = Authority::create(CaKind::Mesh, "initech", Arc::new(ed25519()), NOW);
    assert!(matches!(refused, Err(AuthorityError::Algorithm)));
    assert!(!format!("{:?}", ca.authority).contains("PRIVATE"));
}

#[test]
fn an_authority_is_loaded_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
    let ca = Ca::new(CaKind::Operator);
    std::fs::write(&pem, crate::credential::certificate_to_pem(ca.authority.certificate())).unwrap();
    ca.key.save(&key).unwrap();
    let loaded = Authority::load(&pem, &key).unwrap();
    assert_eq!(loaded.kind(), CaKind::Operator);
    let der = loaded.issue_operator(p256().public(), &vendor(), &alice(), HOUR, NOW).unwrap();
    assert!(ca.operators().verify(&[der], NOW).is_ok());
    let missing = Authority::load(&pem, &folder.path().join("none"));
    assert!(matches!(missing, Err(AuthorityError::Key(KeyError::File(_)))));
}

#[test]
fn a_self_signed_api_certificate_is_neither_ca_nor_identity() {
    let credential = self_signed_api_server(&suffix(), &[], DAY, NOW).unwrap();
    let leaf = Leaf::read(credential.certificate()).unwrap();
    assert!(!leaf.is_ca);
    assert_eq!(leaf.names, [SubjectName::Dns("api.tunnel.example".into())]);
    assert!(Roots::new(vec![credential.certificate().clone()]).is_err());
    let ca = Ca::new(CaKind::Mesh);
    let chain: [CertificateDer<'_>; 1] = [credential.certificate().clone()];
    assert!(ca.mesh().verify(&chain, Role::Broker, NOW).is_err());
}

#[test]
fn a_credential_is_one_certificate_with_its_own_key() {
    use crate::credential::{Credential, CredentialError, ServerCredential};
    let ca = Ca::new(CaKind::Operator);
    let key = Arc::new(p256());
    let der = ca.operator(key.public(), NOW);
    let credential = Credential::new(vec![der.clone()], Arc::clone(&key)).unwrap();
    assert_eq!(credential.identity().unwrap().role(), Role::Operator);
    let stranger: Arc<SigningKey> = Arc::new(p256());
    assert!(matches!(Credential::new(vec![der.clone()], stranger), Err(CredentialError::Mismatch)));
    let two = vec![der.clone(), ca.authority.certificate().clone()];
    assert!(matches!(Credential::new(two, key), Err(CredentialError::Count(2))));
    let stranger = rcgen::KeyPair::generate().unwrap();
    let foreign = ServerCredential::new(vec![der], &stranger.into());
    assert!(matches!(foreign, Err(CredentialError::Mismatch)));
    assert_eq!(date(NOW).unix_timestamp(), NOW.seconds());
}
