//! Approvals: forged, stale, foreign and twisted ones.

use proptest::prelude::*;
use tunnel_protos::RequestId;

use super::*;
use crate::{
    key::SigningKey,
    testing::{MINUTE, NOW, ed25519, label},
};

fn approval(subject: Subject) -> Approval {
    let (approver, note) = ("alice".parse().unwrap(), "looks right".parse().unwrap());
    Approval { label: label(), approver, time: NOW, note, subject }
}

fn yes() -> Subject {
    Subject::Request { request: Digest::new([7; 32]), plan: None, answer: Answer::Yes }
}

fn subjects() -> Vec<Subject> {
    let challenge = Challenge::new([3; 32]);
    vec![
        yes(),
        Subject::Request {
            request: Digest::new([7; 32]),
            plan: Some(Digest::new([8; 32])),
            answer: Answer::No,
        },
        Subject::Resume { pause: PauseId::random() },
        Subject::ClockReset { challenge, to: NOW },
        Subject::AuditOrigin { challenge },
        Subject::EnrollConfirm { entry: Digest::new([9; 32]) },
        Subject::AllowOperator { operator: "mallory".parse().unwrap(), denied_since: NOW },
    ]
}

fn made(approval: &Approval, key: &SigningKey) -> Vec<u8> {
    approval.make(key).unwrap().encode_to_vec()
}

fn opened(bytes: &[u8], key: &SigningKey, now: UnixMillis) -> Result<Opened, OpenError> {
    open(bytes, &label(), now, |_| Some(key.public().clone()))
}

fn refusal(change: impl FnOnce(&mut v1::Approval)) -> OpenError {
    let key = ed25519();
    let bytes = approval(yes()).make(&key).unwrap().payload;
    let mut message = v1::Approval::decode(&bytes[..]).unwrap();
    change(&mut message);
    let envelope = envelope::sign(PayloadType::Approval, message.encode_to_vec(), &[(&key, None)]).unwrap();
    opened(&envelope.encode_to_vec(), &key, NOW).unwrap_err()
}

#[test]
fn opens_each_subject_that_it_makes() {
    let key = ed25519();
    for subject in subjects() {
        let approval = approval(subject);
        let envelope = approval.make(&key).unwrap();
        let opened = opened(&envelope.encode_to_vec(), &key, NOW).unwrap();
        assert_eq!((opened.approval, opened.digest), (approval, envelope::digest(&envelope)));
    }
}

#[test]
fn only_the_key_that_the_policy_names_for_this_approver_counts() {
    let (alice, bob) = (ed25519(), ed25519());
    let bytes = made(&approval(yes()), &bob);
    assert!(matches!(opened(&bytes, &alice, NOW), Err(OpenError::Envelope(_))));
    let asked = open(&bytes, &label(), NOW, |name| {
        assert_eq!(name.as_str(), "alice", "the key of the approver it names is asked for");
        None
    });
    assert!(matches!(asked, Err(OpenError::Approver(_))));
}

#[test]
fn is_for_one_cluster() {
    let key = ed25519();
    let other = Approval { label: Label::from_random([12; 17]), ..approval(yes()) };
    assert!(matches!(opened(&made(&other, &key), &key, NOW), Err(OpenError::Label)));
}

#[test]
fn is_fresh_for_five_minutes_either_way() {
    let key = ed25519();
    let bytes = made(&approval(yes()), &key);
    for now in [NOW.plus(5 * MINUTE), NOW.minus(5 * MINUTE)] {
        assert!(opened(&bytes, &key, now).is_ok());
    }
    let millisecond = Duration::from_millis(1);
    for now in [NOW.plus(5 * MINUTE + millisecond), NOW.minus(5 * MINUTE + millisecond)] {
        assert!(matches!(opened(&bytes, &key, now), Err(OpenError::Stale)));
    }
    assert_eq!(opened(&bytes, &key, NOW).unwrap().forget_after(), NOW.plus(5 * MINUTE));
}

#[test]
fn a_challenge_stands_for_freshness_where_a_clock_may_be_wrong() {
    let key = ed25519();
    let challenge = Challenge::new([3; 32]);
    for subject in [Subject::ClockReset { challenge, to: NOW }, Subject::AuditOrigin { challenge }] {
        let bytes = made(&approval(subject), &key);
        assert!(opened(&bytes, &key, NOW.plus(1000 * MINUTE)).is_ok());
    }
}

#[test]
fn refuses_fields_outside_their_grammar() {
    assert!(matches!(refusal(|m| m.version = 2), OpenError::Field("version")));
    assert!(matches!(refusal(|m| m.label = "x".into()), OpenError::Field("label")));
    assert!(matches!(refusal(|m| m.approver = "Not A Name".into()), OpenError::Field("approver")));
    assert!(matches!(refusal(|m| m.note = "a\u{202e}b".into()), OpenError::Field("note")));
    assert!(matches!(refusal(|m| m.subject = None), OpenError::Field("subject")));
    let about = |change: fn(&mut v1::RequestApproval)| {
        refusal(move |m| match &mut m.subject {
            Some(SubjectMessage::Request(request)) => change(request),
            _ => unreachable!(),
        })
    };
    assert!(matches!(about(|r| r.answer = 0), OpenError::Field("answer")));
    assert!(matches!(about(|r| r.answer = 9), OpenError::Field("answer")));
    assert!(matches!(about(|r| r.request_digest.truncate(31)), OpenError::Field("request")));
    assert!(matches!(about(|r| r.plan_digest = vec![1]), OpenError::Field("plan")));
    let resume = v1::ResumeApproval { pause_id: RequestId::random().to_string().to_uppercase() };
    assert!(matches!(
        refusal(|m| m.subject = Some(SubjectMessage::Resume(resume))),
        OpenError::Field("pause")
    ));
}

#[test]
fn refuses_fields_that_it_does_not_know() {
    let key = ed25519();
    let mut payload = approval(yes()).make(&key).unwrap().payload;
    prost::encoding::string::encode(99, &"x".to_owned(), &mut payload);
    let envelope = envelope::sign(PayloadType::Approval, payload, &[(&key, None)]).unwrap();
    assert!(matches!(opened(&envelope.encode_to_vec(), &key, NOW), Err(OpenError::Envelope(_))));
}

#[test]
fn has_exactly_one_subject() {
    let key = ed25519();
    let mut payload = approval(yes()).make(&key).unwrap().payload;
    let second = v1::ResumeApproval { pause_id: PauseId::random().to_string() };
    prost::encoding::message::encode(17, &second, &mut payload);
    let envelope = envelope::sign(PayloadType::Approval, payload, &[(&key, None)]).unwrap();
    let refused = opened(&envelope.encode_to_vec(), &key, NOW);
    assert!(matches!(refused, Err(OpenError::Field("subject"))), "{refused:?}");
}

#[test]
fn refuses_an_envelope_of_another_kind() {
    let key = ed25519();
    let payload = approval(yes()).make(&key).unwrap().payload;
    let envelope = envelope::sign(PayloadType::Outcome, payload, &[(&key, None)]).unwrap();
    assert!(matches!(opened(&envelope.encode_to_vec(), &key, NOW), Err(OpenError::Envelope(_))));
}

proptest! {
    #[test]
    fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(opened(&garbage, &ed25519(), NOW).is_err());
    }
}
