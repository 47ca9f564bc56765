//! Who proves an approver, and who does not.

use prost::Message;
use tunnel_certs::{
    key::{Algorithm, Signer, SigningKey},
    statement::approval::{Answer, Approval},
};
use tunnel_protos::Digest;

use super::*;
use crate::{approvers::testing::NOW, policy};

const HOST: Host = Host { own: 990, overflow: 65_000 };

fn approvers(named: &[(&str, u32)]) -> Approvers {
    let entry =
        |(name, uid): &(&str, u32)| (name.parse().unwrap(), policy::Approver { key: None, uid: Some(*uid) });
    named.iter().map(entry).collect()
}

#[test]
fn a_user_id_proves_whom_the_policy_gives_it_to() {
    let approvers = approvers(&[("alice", 1001), ("bob", 1002)]);
    let by = by_uid(Peer { uid: 1002 }, HOST, &approvers).unwrap();
    assert_eq!((by.name().as_str(), by.proof()), ("bob", &Proof::Uid(1002)));
}

#[test]
fn root_the_daemon_and_unmapped_users_prove_nobody_even_if_the_policy_says_so() {
    let uids = [0, HOST.own, HOST.overflow, OVERFLOW];
    let names = ["a", "b", "c", "d"];
    let approvers = approvers(&names.into_iter().zip(uids).collect::<Vec<_>>());
    let refused = |uid| by_uid(Peer { uid }, HOST, &approvers).unwrap_err();
    assert!(matches!(refused(0), NotProven::Root));
    assert!(matches!(refused(HOST.own), NotProven::Own(990)));
    assert!(matches!(refused(HOST.overflow), NotProven::Overflow(65_000)));
    assert!(matches!(refused(OVERFLOW), NotProven::Overflow(OVERFLOW)));
    assert!(matches!(refused(1001), NotProven::Unknown(1001)));
    for uid in [0, HOST.own, HOST.overflow, 1001] {
        let text = refused(uid).to_string();
        assert!(text.contains("--key FILE"), "says the way out: {text}");
        assert_eq!(anyone(Peer { uid }, HOST, &approvers), Who::Peer(Peer { uid }), "and may tighten");
    }
}

#[test]
fn a_user_id_of_two_approvers_proves_neither() {
    let approvers = approvers(&[("alice", 1001), ("bob", 1001)]);
    assert!(matches!(by_uid(Peer { uid: 1001 }, HOST, &approvers), Err(NotProven::Unknown(1001))));
}

fn label() -> Label {
    Label::from_random([11; 17])
}

fn signed(key: &SigningKey, change: impl FnOnce(&mut Approval)) -> Vec<u8> {
    let subject = Subject::Request { request: Digest::new([7; 32]), plan: None, answer: Answer::Yes };
    let (approver, note) = ("alice".parse().unwrap(), "as signed".parse().unwrap());
    let mut approval = Approval { label: label(), approver, time: NOW, note, subject };
    change(&mut approval);
    approval.make(key).unwrap().encode_to_vec()
}

fn keyed(key: &SigningKey) -> Approvers {
    let entry = policy::Approver { key: Some(key.public().clone()), uid: None };
    [("alice".parse().unwrap(), entry)].into_iter().collect()
}

#[test]
fn a_signed_approval_proves_its_approver_and_carries_the_note() {
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let envelope = signed(&key, |_| {});
    let (by, note) = by_signature(envelope.clone(), &label(), NOW, &keyed(&key), |_| true).unwrap();
    assert_eq!((by.name().as_str(), note.as_str()), ("alice", "as signed"));
    assert_eq!(by.signed().unwrap().envelope, envelope, "kept as it came");
}

#[test]
fn a_signed_approval_for_another_label_key_time_or_subject_proves_nobody() {
    let (key, thief) = (
        SigningKey::generate(Algorithm::Ed25519).unwrap(),
        SigningKey::generate(Algorithm::Ed25519).unwrap(),
    );
    let refused = |envelope: Vec<u8>| {
        let wanted = |subject: &Subject| matches!(subject, Subject::Request { answer: Answer::Yes, .. });
        by_signature(envelope, &label(), NOW, &keyed(&key), wanted).unwrap_err()
    };
    let elsewhere = signed(&key, |approval| approval.label = Label::from_random([12; 17]));
    assert!(matches!(refused(elsewhere), NotProven::Signature(OpenError::Label)));
    assert!(matches!(refused(signed(&thief, |_| {})), NotProven::Signature(OpenError::Envelope(_))));
    let old = signed(&key, |approval| approval.time = NOW.minus(std::time::Duration::from_secs(301)));
    assert!(matches!(refused(old), NotProven::Signature(OpenError::Stale)));
    let no = signed(&key, |approval| {
        approval.subject = Subject::Request { request: Digest::new([7; 32]), plan: None, answer: Answer::No };
    });
    assert!(matches!(refused(no), NotProven::Other));
    let unknown = signed(&key, |approval| approval.approver = "mallory".parse().unwrap());
    assert!(matches!(refused(unknown), NotProven::Signature(OpenError::Approver(_))));
}
