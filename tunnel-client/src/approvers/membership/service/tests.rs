//! The methods with the peer given by hand: a word on an entry takes an approver, whatever else is right.

use prost::Message as _;
use tonic::Code;
use tunnel_certs::{
    key::{Algorithm, Signer, SigningKey},
    statement::approval::Approval,
};
use tunnel_runtime::drain;

use super::*;
use crate::{
    approvers::testing::{Asked, NOW, Remembering},
    policy,
};

const ALICE: Peer = Peer { uid: 1001 };
const STRANGER: Peer = Peer { uid: 4242 };
const ENTRY: Digest = Digest::new([7; 32]);

struct World {
    desk: Remembering,
    service: Service<Remembering>,
    key: SigningKey,
    _drain: drain::Drain,
}

fn world() -> World {
    let (signal, watch) = drain::channel();
    let (desk, key) = (Remembering::default(), SigningKey::generate(Algorithm::Ed25519).unwrap());
    let alice = policy::Approver { key: None, uid: Some(ALICE.uid) };
    let bob = policy::Approver { key: Some(key.public().clone()), uid: None };
    let mut memory = desk.0.lock();
    memory.approvers =
        [("alice".parse().unwrap(), alice), ("bob".parse().unwrap(), bob)].into_iter().collect();
    memory.enrollment.waiting_entry_digest = ENTRY.as_bytes().to_vec();
    drop(memory);
    let counter = Arc::new(Counter::new(desk.clone(), watch));
    World { service: Service::new(counter, desk.offices()), desk, key, _drain: signal }
}

impl World {
    async fn confirm(&self, peer: Peer, words: &str, approval: Vec<u8>) -> Result<(), Status> {
        let asked =
            api::ConfirmEntryRequest { words: words.to_owned(), approval, note: "by phone".to_owned() };
        self.service.confirm(peer, asked).await
    }

    fn signed(&self, entry: Digest) -> Vec<u8> {
        let approval = Approval {
            label: self.desk.label(),
            approver: "bob".parse().unwrap(),
            time: NOW,
            note: "heard".parse().unwrap(),
            subject: Subject::EnrollConfirm { entry },
        };
        approval.make(&self.key).unwrap().encode_to_vec()
    }
}

#[tokio::test]
async fn an_approver_confirms_by_user_id_or_by_signature() {
    let world = world();
    let words = Words::of(&ENTRY).to_string();
    world.confirm(ALICE, &words.to_uppercase(), Vec::new()).await.unwrap();
    world.confirm(STRANGER, &words, world.signed(ENTRY)).await.unwrap();
    let [Asked::Confirm(_, _, said, alice), Asked::Confirm(entry, _, note, bob)] = &world.desk.asked()[..]
    else {
        panic!("two words")
    };
    assert_eq!((alice.name().as_str(), bob.name().as_str()), ("alice", "bob"));
    assert_eq!((*entry, note.as_str()), (ENTRY, "heard"));
    assert_eq!(said.as_str(), "by phone");
}

#[tokio::test]
async fn nobody_else_confirms_even_with_the_right_words() {
    let world = world();
    let words = Words::of(&ENTRY).to_string();
    let code = |refused: Result<(), Status>| refused.unwrap_err().code();
    assert_eq!(code(world.confirm(STRANGER, &words, Vec::new()).await), Code::PermissionDenied);
    assert_eq!(code(world.confirm(Peer { uid: 0 }, &words, Vec::new()).await), Code::PermissionDenied);
    let other = world.signed(Digest::new([8; 32]));
    assert_eq!(code(world.confirm(STRANGER, &words, other).await), Code::PermissionDenied);
    let wrong = Words::of(&Digest::new([8; 32])).to_string();
    assert_eq!(code(world.confirm(ALICE, &wrong, Vec::new()).await), Code::InvalidArgument);
    assert_eq!(code(world.confirm(ALICE, "one two", Vec::new()).await), Code::InvalidArgument);
    world.desk.0.lock().enrollment.waiting_entry_digest.clear();
    assert_eq!(code(world.confirm(ALICE, &words, Vec::new()).await), Code::FailedPrecondition);
    assert!(world.desk.asked().is_empty());
}
