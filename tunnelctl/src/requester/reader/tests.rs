use prost::Message;
use tunnel_certs::{
    key::{Algorithm, SigningKey},
    statement::{
        envelope::{self, PayloadType},
        request::Opened,
    },
};
use tunnel_protos::v1::{RequestState, SealedRequest};

use super::*;
use crate::{
    requester::tests::{Scene, scene},
    testing::{answer_by, outcome},
};

/// A request that was made, and the cluster's view of it.
struct Asked {
    scene: Scene,
    reader: Reader,
    sealed: SealedRequest,
    opened: Opened,
}

fn asked() -> Asked {
    let scene = scene();
    let record = scene.access();
    let reader = scene.folder.reader(&record).unwrap();
    let sealed = scene.folder.sealed(record.id).unwrap();
    let opened = scene.cluster.open(&sealed);
    Asked { scene, reader, sealed, opened }
}

impl Asked {
    fn answer(&self, outcome: &Outcome) -> SealedOutcome {
        self.scene.cluster.answer(&self.sealed, &self.opened.request, outcome)
    }

    fn pending(&self, sequence: u64) -> SealedOutcome {
        self.answer(&outcome(&self.opened, sequence, RequestState::Pending))
    }
}

#[tokio::test]
async fn takes_answers_in_rising_order() {
    let mut asked = asked();
    for sequence in [1, 2, 5] {
        let sealed = asked.pending(sequence);
        assert!(matches!(asked.reader.read(&sealed), Ok(Read::New(new)) if new.sequence == sequence));
    }
}

#[tokio::test]
async fn an_older_or_repeated_outcome_changes_nothing() {
    let mut asked = asked();
    let (first, second) = (asked.pending(1), asked.pending(2));
    assert!(matches!(asked.reader.read(&first), Ok(Read::New(_))));
    assert!(matches!(asked.reader.read(&second), Ok(Read::New(_))));
    assert!(matches!(asked.reader.read(&first), Ok(Read::Held)));
    assert!(matches!(asked.reader.read(&second), Ok(Read::Held)));
    assert_eq!(asked.reader.newest().unwrap().sequence, 2);
}

#[tokio::test]
async fn refuses_a_second_outcome_of_the_same_sequence() {
    let mut asked = asked();
    let pending = asked.pending(1);
    asked.reader.read(&pending).unwrap();
    let other = asked.answer(&outcome(&asked.opened, 1, RequestState::Approved));
    assert!(matches!(asked.reader.read(&other), Err(Error::Changed(1))));
}

#[tokio::test]
async fn refuses_sequence_zero() {
    let mut asked = asked();
    let zero = asked.pending(0);
    assert!(matches!(asked.reader.read(&zero), Err(Error::Outcome(OpenError::Sequence { got: 0, .. }))));
}

#[tokio::test]
async fn refuses_an_outcome_that_the_cluster_key_did_not_sign() {
    let mut asked = asked();
    let forger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let granted = outcome(&asked.opened, 1, RequestState::Approved);
    let forged = answer_by(&forger, &asked.sealed, &asked.opened.request, &granted);
    assert!(matches!(asked.reader.read(&forged), Err(Error::Outcome(OpenError::Envelope(_)))));
}

#[tokio::test]
async fn refuses_an_altered_outcome() {
    let mut asked = asked();
    let mut sealed = asked.pending(1);
    let mut bytes = sealed.ciphertext.to_vec();
    bytes[10] ^= 1;
    sealed.ciphertext = bytes.into();
    assert!(matches!(asked.reader.read(&sealed), Err(Error::Seal(SealError::Open))));
    sealed.ciphertext = Vec::new().into();
    assert!(asked.reader.read(&sealed).is_err());
}

#[tokio::test]
async fn refuses_the_outcome_of_another_request() {
    let mut asked = asked();
    let other = asked.scene.access();
    let sealed = asked.scene.folder.sealed(other.id).unwrap();
    let foreign = asked.scene.cluster.settle(&sealed, 1, RequestState::Approved);
    assert!(matches!(asked.reader.read(&foreign), Err(Error::Seal(SealError::Foreign(_)))));
    let claimed = SealedOutcome { envelope_id: asked.pending(1).envelope_id, ..foreign };
    assert!(matches!(asked.reader.read(&claimed), Err(Error::Seal(SealError::Open))));
}

#[tokio::test]
async fn refuses_a_signed_outcome_with_the_digest_of_another_request() {
    let mut asked = asked();
    let other =
        Outcome { request_digest: Digest::new([9; 32]), ..outcome(&asked.opened, 1, RequestState::Approved) };
    let sealed = asked.answer(&other);
    assert!(matches!(asked.reader.read(&sealed), Err(Error::Outcome(OpenError::OtherRequest))));
}

#[tokio::test]
async fn refuses_an_outcome_with_control_characters() {
    let mut asked = asked();
    let outcome =
        Outcome { reason: "yes\u{1b}[2J".into(), ..outcome(&asked.opened, 1, RequestState::Approved) };
    let sealed = asked.answer(&outcome);
    assert!(matches!(asked.reader.read(&sealed), Err(Error::Outcome(OpenError::Field("reason")))));
}

#[tokio::test]
async fn refuses_an_outcome_with_unknown_fields() {
    let mut asked = asked();
    let outcome = outcome(&asked.opened, 1, RequestState::Approved);
    let mut payload = outcome::make(&outcome, &asked.scene.cluster.key).unwrap().payload;
    payload.extend([0xf8, 0x07, 1]);
    let envelope =
        envelope::sign(PayloadType::Outcome, payload, &[(&asked.scene.cluster.key, None)]).unwrap();
    let id = seal::envelope_id(&asked.sealed);
    let sealed =
        seal::seal_outcome(&envelope.encode_to_vec(), &id, &asked.opened.request.outcome_key).unwrap();
    assert!(matches!(asked.reader.read(&sealed), Err(Error::Outcome(OpenError::Envelope(_)))));
}
