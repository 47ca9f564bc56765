//! "Verifying at the gate", rule by rule: one broken thing per certificate.

use proptest::prelude::*;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SerialNumber};
use rustls_pki_types::CertificateDer;

use crate::{
    identity::Identity,
    issue::CaKind,
    roots::Roots,
    testing::{Ca, DAY, HOUR, MINUTE, NOW, date, dns, identities, label, new_grant, shape, uri},
    verify::{GrantVerifier, Serial, VerifyError},
};

fn grant_shape() -> CertificateParams {
    let [.., grant] = identities();
    shape(&grant)
}

fn refusal(change: impl FnOnce(&mut CertificateParams)) -> VerifyError {
    let ca = Ca::new(CaKind::Access);
    let mut parameters = grant_shape();
    assert!(ca.grants().verify(&[ca.forge(&parameters)], NOW).is_ok(), "good before the change");
    change(&mut parameters);
    ca.grants().verify(&[ca.forge(&parameters)], NOW).unwrap_err()
}

#[test]
fn accepts_what_was_issued_and_tells_grant_and_serial() {
    let ca = Ca::new(CaKind::Access);
    let grant = new_grant();
    let issued = ca.grant(grant, NOW);
    let verified = ca.grants().verify(std::slice::from_ref(&issued.certificate), NOW).unwrap();
    assert_eq!((verified.grant, verified.serial), (grant, issued.serial));
    assert_eq!((verified.not_before, verified.not_after), (issued.not_before, issued.not_after));
    assert!(!verified.is_expired(NOW));
}

#[test]
fn an_expired_certificate_of_ours_passes_and_is_told_apart() {
    let ca = Ca::new(CaKind::Access);
    let issued = ca.grant(new_grant(), NOW);
    let later = NOW.plus(20 * HOUR);
    let verified = ca.grants().verify(&[issued.certificate], later).unwrap();
    assert!(verified.is_expired(later));
    assert!(!verified.is_expired(verified.not_after));
    assert!(verified.is_expired(verified.not_after.plus(MINUTE)));
}

#[test]
fn a_forged_expired_certificate_is_not_ours() {
    let ca = Ca::new(CaKind::Access);
    let mut parameters = grant_shape();
    parameters.not_before = date(NOW.minus(2 * HOUR));
    parameters.not_after = date(NOW.minus(2 * HOUR).plus(10 * MINUTE));
    let forged = Ca::new(CaKind::Access).forge(&parameters);
    assert_eq!(ca.grants().verify(&[forged], NOW), Err(VerifyError::UnknownIssuer));
    assert!(ca.grants().verify(&[ca.forge(&parameters)], NOW).is_ok(), "ours would pass as expired");
}

#[test]
fn refuses_a_foreign_ca_of_the_same_name() {
    let ca = Ca::new(CaKind::Access);
    let foreign = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(ca.authority.certificate(), &foreign).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let forged = grant_shape().signed_by(&key, &issuer).unwrap().der().clone();
    assert_eq!(ca.grants().verify(&[forged], NOW), Err(VerifyError::UnknownIssuer));
}

#[test]
fn refuses_intermediates_and_an_empty_chain() {
    let ca = Ca::new(CaKind::Access);
    let leaf = ca.grant(new_grant(), NOW).certificate;
    let with_ca = [leaf.clone(), ca.authority.certificate().clone()];
    assert_eq!(ca.grants().verify(&with_ca, NOW), Err(VerifyError::Count(2)));
    assert_eq!(ca.grants().verify(&[], NOW), Err(VerifyError::Count(0)));
}

#[test]
fn refuses_a_leaf_under_an_intermediate_of_ours() {
    // An anchor's path length is ignored by webpki, so that a CA below it would be believed if it could be sent.
    let ca = Ca::new(CaKind::Access);
    let mut parameters = grant_shape();
    parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = rcgen::KeyPair::generate().unwrap();
    let intermediate = ca.sign(&parameters, &key);
    let issuer = rcgen::Issuer::from_ca_cert_der(&intermediate, &key).unwrap();
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = grant_shape().signed_by(&leaf_key, &issuer).unwrap().der().clone();
    assert_eq!(ca.grants().verify(std::slice::from_ref(&leaf), NOW), Err(VerifyError::UnknownIssuer));
    assert_eq!(ca.grants().verify(&[leaf, intermediate], NOW), Err(VerifyError::Count(2)));
}

#[test]
fn refuses_more_than_one_name() {
    let other = format!("spiffe://{}/v1/grant/{}", label(), new_grant());
    assert_eq!(refusal(|p| p.subject_alt_names.push(uri(&other))), VerifyError::Names);
    assert_eq!(refusal(|p| p.subject_alt_names.push(dns("tunnel.example"))), VerifyError::Names);
    assert_eq!(refusal(|p| p.subject_alt_names.clear()), VerifyError::Names);
    assert_eq!(refusal(|p| p.subject_alt_names = vec![dns("tunnel.example")]), VerifyError::Names);
}

#[test]
fn refuses_another_cluster_and_another_spelling() {
    let foreign = Identity::Grant { label: tunnel_protos::Label::from_random([99; 17]), grant: new_grant() };
    assert_eq!(refusal(|p| p.subject_alt_names = vec![uri(&foreign.to_string())]), VerifyError::WrongRole);
    let upper = format!("spiffe://{}/v1/GRANT/{}", label(), new_grant());
    assert_eq!(refusal(|p| p.subject_alt_names = vec![uri(&upper)]), VerifyError::WrongRole);
}

#[test]
fn refuses_usages_other_than_exactly_client_auth() {
    let server = ExtendedKeyUsagePurpose::ServerAuth;
    assert_eq!(refusal(|p| p.extended_key_usages.push(server.clone())), VerifyError::Usage);
    assert_eq!(refusal(|p| p.extended_key_usages = vec![server.clone()]), VerifyError::Usage);
    assert_eq!(refusal(|p| p.extended_key_usages.push(ExtendedKeyUsagePurpose::Any)), VerifyError::Usage);
    assert_eq!(
        refusal(|p| p.extended_key_usages.push(ExtendedKeyUsagePurpose::CodeSigning)),
        VerifyError::Usage
    );
    assert_eq!(refusal(|p| p.extended_key_usages.clear()), VerifyError::Usage);
}

#[test]
fn refuses_key_usages_other_than_digital_signature() {
    assert_eq!(refusal(|p| p.key_usages.push(KeyUsagePurpose::KeyAgreement)), VerifyError::Usage);
    assert_eq!(refusal(|p| p.key_usages.clear()), VerifyError::Usage);
}

#[test]
fn refuses_a_life_longer_than_16_minutes() {
    assert_eq!(
        refusal(|p| p.not_after = date(NOW.plus(15 * MINUTE).plus(std::time::Duration::from_secs(1)))),
        VerifyError::TooLong
    );
    let ca = Ca::new(CaKind::Access);
    let mut longest = grant_shape();
    longest.not_after = date(NOW.plus(15 * MINUTE));
    assert!(ca.grants().verify(&[ca.forge(&longest)], NOW).is_ok());
}

#[test]
fn refuses_a_certificate_from_the_future() {
    assert_eq!(refusal(|p| p.not_before = date(NOW.plus(MINUTE))), VerifyError::NotYetValid);
    let (ca, mut from_now) = (Ca::new(CaKind::Access), grant_shape());
    from_now.not_before = date(NOW);
    assert!(ca.grants().verify(&[ca.forge(&from_now)], NOW).is_ok(), "valid from its first moment on");
}

#[test]
fn refuses_a_ca_as_client() {
    assert_eq!(refusal(|p| p.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0))), VerifyError::IsCa);
}

#[test]
fn refuses_keys_other_than_p256() {
    let ca = Ca::new(CaKind::Access);
    for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let der = ca.sign(&grant_shape(), &rcgen::KeyPair::generate_for(algorithm).unwrap());
        assert_eq!(ca.grants().verify(&[der], NOW), Err(VerifyError::Key));
    }
}

#[test]
fn refuses_a_serial_longer_than_ours() {
    assert_eq!(
        refusal(|p| p.serial_number = Some(SerialNumber::from_slice(&[0x7f; 20]))),
        VerifyError::Malformed
    );
}

#[test]
fn reads_serials_of_every_length_up_to_128_bits() {
    let ca = Ca::new(CaKind::Access);
    for (bytes, expected) in [
        (vec![0xff; 16], [0xff; 16]),
        (vec![5], {
            let mut e = [0; 16];
            e[15] = 5;
            e
        }),
    ] {
        let mut parameters = grant_shape();
        parameters.serial_number = Some(SerialNumber::from_slice(&bytes));
        let verified = ca.grants().verify(&[ca.forge(&parameters)], NOW).unwrap();
        assert_eq!(verified.serial, Serial::new(expected));
    }
}

#[test]
fn the_cas_own_validity_is_checked() {
    let old = Ca::made_at(CaKind::Access, NOW.minus(400 * DAY));
    let issued_after = old.forge(&grant_shape());
    assert_eq!(old.grants().verify(&[issued_after], NOW), Err(VerifyError::CaExpired));
    let young = Ca::made_at(CaKind::Access, NOW.plus(2 * HOUR));
    let issued_before = young.forge(&grant_shape());
    assert_eq!(young.grants().verify(&[issued_before], NOW), Err(VerifyError::CaExpired));
}

#[test]
fn an_old_certificate_of_a_ca_that_has_expired_since_is_still_ours() {
    let ca = Ca::new(CaKind::Access);
    let issued = ca.grant(new_grant(), NOW.plus(364 * DAY).minus(HOUR));
    let (_, ca_end) = ca.authority.validity();
    let later = ca_end.plus(HOUR);
    let verified = ca.grants().verify(&[issued.certificate], later).unwrap();
    assert!(verified.is_expired(later), "it gets a clear answer instead of an alert");
}

#[test]
fn a_certificate_ends_with_its_ca() {
    let ca = Ca::made_at(CaKind::Access, NOW.minus(365 * DAY).plus(MINUTE));
    let (_, ca_end) = ca.authority.validity();
    assert!(ca_end < NOW.plus(10 * MINUTE));
    let verified = ca.grants().verify(&[ca.forge(&grant_shape())], NOW).unwrap();
    assert_eq!(verified.not_after, ca_end);
}

#[test]
fn the_previous_ca_counts_while_rotating() {
    let (previous, current) = (Ca::new(CaKind::Access), Ca::new(CaKind::Access));
    let both = vec![current.authority.certificate().clone(), previous.authority.certificate().clone()];
    let verifier = GrantVerifier::new(label(), Roots::new(both).unwrap());
    for ca in [&previous, &current] {
        assert!(verifier.verify(&[ca.grant(new_grant(), NOW).certificate], NOW).is_ok());
    }
    assert!(current.grants().verify(&[previous.grant(new_grant(), NOW).certificate], NOW).is_err());
}

#[test]
fn refuses_bytes_after_the_certificate() {
    let ca = Ca::new(CaKind::Access);
    let mut der = ca.grant(new_grant(), NOW).certificate.to_vec();
    der.push(0);
    assert_eq!(ca.grants().verify(&[CertificateDer::from(der)], NOW), Err(VerifyError::Malformed));
}

#[test]
fn refuses_every_altered_byte() {
    let ca = Ca::new(CaKind::Access);
    let der = ca.grant(new_grant(), NOW).certificate.to_vec();
    for position in 0..der.len() {
        let mut altered = der.clone();
        altered[position] ^= 1;
        let result = ca.grants().verify(&[CertificateDer::from(altered)], NOW);
        assert!(result.is_err(), "byte {position}");
    }
}

proptest! {
    #[test]
    fn garbage_and_truncations_never_panic(garbage in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
        let ca = Ca::new(CaKind::Access);
        let mut der = ca.grant(new_grant(), NOW).certificate.to_vec();
        der.truncate(cut);
        prop_assert!(ca.grants().verify(&[CertificateDer::from(der)], NOW).is_err());
        prop_assert!(ca.grants().verify(&[CertificateDer::from(garbage)], NOW).is_err());
    }
}
