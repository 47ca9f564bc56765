//! The gate's own certificate, as an operator looks at it.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use rustls_pki_types::ServerName;

use crate::{
    issue::CaKind,
    testing::{Ca, DAY, HOUR, MINUTE, NOW, date, dns, door, gate_shape, label, suffix, uri},
    verify::{GateServerVerifier, VerifyError},
};

fn refusal(change: impl FnOnce(&mut CertificateParams)) -> VerifyError {
    let ca = Ca::new(CaKind::Access);
    let mut parameters = gate_shape();
    let verifier = GateServerVerifier::new(ca.roots());
    assert_eq!(verifier.verify(&[ca.forge(&parameters)], &door(), NOW), Ok(()), "good before the change");
    change(&mut parameters);
    verifier.verify(&[ca.forge(&parameters)], &door(), NOW).unwrap_err()
}

#[test]
fn accepts_what_was_issued_for_any_door_of_the_cluster() {
    let ca = Ca::new(CaKind::Access);
    let credential = ca.authority.issue_gate_server(&label(), &suffix(), NOW).unwrap();
    let verifier = GateServerVerifier::new(ca.roots());
    let chain = std::slice::from_ref(credential.certificate());
    assert_eq!(verifier.verify(chain, &door(), NOW), Ok(()));
    let foreign = ServerName::try_from(format!("door.k3v7aaaaaa.{}", suffix())).unwrap();
    assert_eq!(verifier.verify(chain, &foreign, NOW), Err(VerifyError::Names));
    let bare = ServerName::try_from(format!("{}.{}", label(), suffix())).unwrap();
    assert_eq!(verifier.verify(chain, &bare, NOW), Err(VerifyError::Names));
}

#[test]
fn refuses_other_names_usages_and_lives() {
    assert_eq!(refusal(|p| p.subject_alt_names.push(dns("tunnel.example"))), VerifyError::Names);
    assert_eq!(refusal(|p| p.subject_alt_names.push(uri("spiffe://a/v1/broker/b"))), VerifyError::Names);
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    assert_eq!(refusal(|p| p.extended_key_usages.push(client.clone())), VerifyError::Usage);
    assert_eq!(refusal(|p| p.extended_key_usages.clear()), VerifyError::Usage);
    let second = std::time::Duration::from_secs(1);
    assert_eq!(refusal(|p| p.not_after = date(NOW.plus(DAY).plus(second))), VerifyError::TooLong);
}

#[test]
fn refuses_an_expired_or_future_one() {
    assert_eq!(refusal(|p| p.not_before = date(NOW.plus(MINUTE))), VerifyError::NotYetValid);
    assert_eq!(
        refusal(|p| {
            p.not_before = date(NOW.minus(2 * HOUR));
            p.not_after = date(NOW.minus(HOUR));
        }),
        VerifyError::Expired
    );
}

#[test]
fn refuses_intermediates_foreign_and_expired_anchors() {
    let ca = Ca::new(CaKind::Access);
    let leaf = ca.forge(&gate_shape());
    let verifier = GateServerVerifier::new(ca.roots());
    let with_ca = [leaf.clone(), ca.authority.certificate().clone()];
    assert_eq!(verifier.verify(&with_ca, &door(), NOW), Err(VerifyError::Count(2)));
    let foreign = GateServerVerifier::new(Ca::new(CaKind::Access).roots());
    assert_eq!(foreign.verify(&[leaf], &door(), NOW), Err(VerifyError::UnknownIssuer));
    let old = Ca::made_at(CaKind::Access, NOW.minus(400 * DAY));
    let expired = GateServerVerifier::new(old.roots());
    assert_eq!(expired.verify(&[old.forge(&gate_shape())], &door(), NOW), Err(VerifyError::CaExpired));
    let mut issued_in_time = gate_shape();
    issued_in_time.not_before = date(NOW.minus(399 * DAY));
    assert_eq!(expired.verify(&[old.forge(&issued_in_time)], &door(), NOW), Err(VerifyError::CaExpired));
}
