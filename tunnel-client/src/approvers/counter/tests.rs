//! The socket's methods with the peer given by hand: what is proven, compared and recorded.

use prost::Message;
use tonic::Code;
use tunnel_certs::{
    key::{Algorithm, Signer, SigningKey},
    statement::approval::{Answer, Approval, Subject},
};
use tunnel_protos::{Challenge, PauseId, UnixMillis, v1::RequestState};
use tunnel_runtime::drain;

use super::*;
use crate::{
    approvers::{
        Proof,
        testing::{Asked, NOW, Remembering},
    },
    policy,
};

const ALICE: Peer = Peer { uid: 1001 };
const STRANGER: Peer = Peer { uid: 4242 };
const DIGEST: [u8; 32] = [7; 32];

struct World {
    desk: Remembering,
    counter: Counter<Remembering>,
    key: SigningKey,
    id: RequestId,
    _drain: drain::Drain,
}

fn world() -> World {
    let (signal, watch) = drain::channel();
    let (desk, id) = (Remembering::default(), RequestId::random());
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let alice = policy::Approver { key: None, uid: Some(ALICE.uid) };
    let bob = policy::Approver { key: Some(key.public().clone()), uid: None };
    let view = api::RequestView {
        id: id.to_string(),
        digest: DIGEST.to_vec(),
        state: RequestState::Pending.into(),
        ..Default::default()
    };
    let mut memory = desk.0.lock();
    memory.approvers =
        [("alice".parse().unwrap(), alice), ("bob".parse().unwrap(), bob)].into_iter().collect();
    memory.views.push(view);
    drop(memory);
    let host = Host { own: 990, overflow: 65_534 };
    let counter = Counter { host, ..Counter::new(desk.clone(), watch) };
    World { desk, counter, key, id, _drain: signal }
}

impl World {
    fn answer(&self, digest: &[u8], approval: Vec<u8>) -> api::AnswerRequest {
        let note = "as typed".to_owned();
        api::AnswerRequest {
            id: self.id.short(),
            digest: digest.to_vec(),
            note,
            approval,
            plan_digest: Vec::new(),
        }
    }

    fn signed(&self, subject: Subject) -> Vec<u8> {
        let (approver, note) = ("bob".parse().unwrap(), "as signed".parse().unwrap());
        let approval = Approval { label: self.desk.label(), approver, time: NOW, note, subject };
        approval.make(&self.key).unwrap().encode_to_vec()
    }

    fn yes(&self) -> Vec<u8> {
        self.signed(Subject::Request { request: Digest::new(DIGEST), plan: None, answer: Answer::Yes })
    }
}

#[tokio::test]
async fn an_approver_says_yes_to_what_was_shown() {
    let world = world();
    world.counter.approve(ALICE, world.answer(&DIGEST, Vec::new())).await.unwrap();
    let [Asked::Approve(id, digest, None, note, by)] = &world.desk.asked()[..] else { panic!("one yes") };
    assert_eq!((*id, digest.as_bytes(), note.as_str()), (world.id, &DIGEST, "as typed"));
    assert_eq!((by.name().as_str(), by.proof()), ("alice", &Proof::Uid(1001)));
}

#[tokio::test]
async fn a_yes_to_an_operation_names_its_plan() {
    let world = world();
    let plan = [3; 32];
    let answer =
        |approval| api::AnswerRequest { plan_digest: plan.to_vec(), ..world.answer(&DIGEST, approval) };
    world.counter.approve(ALICE, answer(Vec::new())).await.unwrap();
    let signed = |plan: [u8; 32]| {
        let plan = Some(Digest::new(plan));
        world.signed(Subject::Request { request: Digest::new(DIGEST), plan, answer: Answer::Yes })
    };
    for other in [signed([4; 32]), world.yes()] {
        let refused = world.counter.approve(ALICE, answer(other)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    world.counter.approve(STRANGER, answer(signed(plan))).await.unwrap();
    let [Asked::Approve(_, _, first, ..), Asked::Approve(_, _, second, _, by)] = &world.desk.asked()[..]
    else {
        panic!("two yeses")
    };
    assert_eq!((*first, *second), (Some(Digest::new(plan)), Some(Digest::new(plan))));
    assert_eq!(by.name().as_str(), "bob");
    let short = api::AnswerRequest { plan_digest: vec![3], ..world.answer(&DIGEST, Vec::new()) };
    assert_eq!(world.counter.approve(ALICE, short).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_stranger_says_no_but_not_yes_and_is_recorded() {
    let world = world();
    let refused = world.counter.approve(STRANGER, world.answer(&DIGEST, Vec::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("--key"), "{refused}");
    world.counter.deny(STRANGER, world.answer(&[], Vec::new())).await.unwrap();
    let by = Who::Peer(STRANGER);
    assert_eq!(world.desk.asked(), [Asked::Deny(world.id, None, "as typed".into(), by)]);
}

#[tokio::test]
async fn a_digest_of_something_else_is_refused_for_yes_and_no() {
    let world = world();
    for (digest, code) in [
        (&[8; 32][..], Code::FailedPrecondition),
        (&[7; 31], Code::InvalidArgument),
        (&[], Code::InvalidArgument),
    ] {
        let refused = world.counter.approve(ALICE, world.answer(digest, Vec::new())).await.unwrap_err();
        assert_eq!(refused.code(), code, "{digest:?}");
    }
    let refused = world.counter.deny(ALICE, world.answer(&[8; 32], Vec::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(world.desk.asked(), []);
}

#[tokio::test]
async fn a_signed_approval_passes_whatever_the_user_id() {
    for peer in [Peer { uid: 0 }, Peer { uid: 990 }, STRANGER] {
        let world = world();
        world.counter.approve(peer, world.answer(&DIGEST, world.yes())).await.unwrap();
        let [Asked::Approve(_, _, None, note, by)] = &world.desk.asked()[..] else { panic!("one yes") };
        assert_eq!((by.name().as_str(), note.as_str()), ("bob", "as signed"));
        assert_eq!(by.signed().unwrap().envelope, world.yes());
    }
}

#[tokio::test]
async fn a_signed_approval_is_for_this_request_and_this_answer() {
    let world = world();
    let about = |request: [u8; 32], answer| {
        world.signed(Subject::Request { request: Digest::new(request), plan: None, answer })
    };
    let planned = world.signed(Subject::Request {
        request: Digest::new(DIGEST),
        plan: Some(Digest::new([1; 32])),
        answer: Answer::Yes,
    });
    let resume = world.signed(Subject::Resume { pause: PauseId::random() });
    for approval in [about([8; 32], Answer::Yes), about(DIGEST, Answer::No), planned, resume] {
        let refused = world.counter.approve(ALICE, world.answer(&DIGEST, approval)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    let refused = world.counter.deny(ALICE, world.answer(&[], world.yes())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "a yes is no no");
    assert_eq!(world.desk.asked(), []);
}

#[tokio::test]
async fn a_replayed_approval_is_told_apart() {
    let world = world();
    world.counter.approve(STRANGER, world.answer(&DIGEST, world.yes())).await.unwrap();
    let refused = world.counter.approve(STRANGER, world.answer(&DIGEST, world.yes())).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(world.desk.asked().len(), 1);
}

#[tokio::test]
async fn anyone_pauses_and_only_an_approver_resumes_that_pause() {
    let world = world();
    let paused = world.counter.pause(STRANGER, &api::PauseRequest { note: "fire".into() }).await.unwrap();
    assert_eq!(paused.who, "uid 4242");
    let resume = |pause_id: &str, approval| api::ResumeRequest {
        pause_id: pause_id.into(),
        note: String::new(),
        approval,
    };
    let refused = world.counter.resume(STRANGER, resume(&paused.id, Vec::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let other = world.signed(Subject::Resume { pause: PauseId::random() });
    let refused = world.counter.resume(STRANGER, resume(&paused.id, other)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "signed for another pause");
    let pause = paused.id.parse().unwrap();
    let right = world.signed(Subject::Resume { pause });
    let resumed = world.counter.resume(STRANGER, resume(&paused.id, right)).await.unwrap();
    assert_eq!(resumed.who, "bob");
    let refused = world.counter.resume(ALICE, resume("latest", Vec::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "a pause is named by its whole id");
}

#[tokio::test]
async fn anyone_denies_an_operator_and_only_an_approver_allows_it_again() {
    let world = world();
    let denied = api::DenyOperatorRequest { operator: "mallory".into(), note: String::new() };
    let reply = world.counter.deny_operator(STRANGER, &denied).await.unwrap();
    assert_eq!((reply.requests_denied, reply.grants_revoked, reply.sessions_cut), (1, 2, 3));
    let listed =
        api::OperatorView { operator: "mallory".into(), denied_since_ms: NOW.0, ..Default::default() };
    world.desk.0.lock().operators.push(listed);
    let allow =
        |approval| api::AllowOperatorRequest { operator: "mallory".into(), note: String::new(), approval };
    let refused = world.counter.allow_operator(STRANGER, allow(Vec::new())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let at = |denied_since| {
        world.signed(Subject::AllowOperator { operator: "mallory".parse().unwrap(), denied_since })
    };
    let refused = world.counter.allow_operator(STRANGER, allow(at(UnixMillis(1)))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "signed for an earlier deny");
    assert_eq!(world.counter.allow_operator(STRANGER, allow(at(NOW))).await.unwrap().who, "bob");
    assert_eq!(world.counter.allow_operator(ALICE, allow(Vec::new())).await.unwrap().who, "alice");
}

#[tokio::test]
async fn a_signed_clock_reset_needs_a_challenge_of_ours_and_uses_it_up() {
    let world = world();
    let reset =
        |to: UnixMillis, approval| api::ResetClockRequest { to_ms: to.0, note: String::new(), approval };
    let sign = |challenge, to| world.signed(Subject::ClockReset { challenge, to });
    let drawn = world.counter.challenge();
    let challenge = Challenge::try_from(&drawn.challenge[..]).unwrap();
    let foreign = sign(Challenge::new([0; 32]), NOW);
    let refused = world.counter.reset_clock(STRANGER, reset(NOW, foreign)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let refused =
        world.counter.reset_clock(STRANGER, reset(UnixMillis(5), sign(challenge, NOW))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "signed for another time");
    world.counter.reset_clock(STRANGER, reset(NOW, sign(challenge, NOW))).await.unwrap();
    let refused = world.counter.reset_clock(STRANGER, reset(NOW, sign(challenge, NOW))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "used up");
    assert_eq!(world.desk.asked().len(), 1);
    world.counter.reset_clock(ALICE, reset(NOW, Vec::new())).await.unwrap();
    assert_eq!(
        world.counter.reset_clock(STRANGER, reset(NOW, Vec::new())).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn deceptive_texts_and_names_are_refused_everywhere() {
    let world = world();
    let bad = "a\u{202e}\u{1b}[2Jb".to_owned();
    let mut answer = world.answer(&DIGEST, Vec::new());
    answer.note.clone_from(&bad);
    let refusals = [
        world.counter.approve(ALICE, answer.clone()).await.map(drop),
        world.counter.deny(ALICE, answer).await.map(drop),
        world.counter.pause(ALICE, &api::PauseRequest { note: bad.clone() }).await.map(drop),
        world
            .counter
            .deny_operator(ALICE, &api::DenyOperatorRequest { operator: bad.clone(), note: String::new() })
            .await
            .map(drop),
        world
            .counter
            .deny_operator(ALICE, &api::DenyOperatorRequest { operator: "m".into(), note: bad.clone() })
            .await
            .map(drop),
        world
            .counter
            .reset_clock(ALICE, api::ResetClockRequest { to_ms: 1, note: bad, approval: Vec::new() })
            .await
            .map(drop),
    ];
    for refused in refusals {
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(world.desk.asked(), []);
}

/// A view with the same short id as the pending one of `world`.
fn beside(world: &World, last: char, state: RequestState) -> api::RequestView {
    let mut id = world.id.to_string();
    id.pop();
    api::RequestView { id: format!("{id}{last}"), state: state.into(), ..Default::default() }
}

#[tokio::test]
async fn ids_chosen_to_look_alike_keep_nobody_from_cutting() {
    let world = world();
    let live = beside(&world, 'g', RequestState::Active);
    world.desk.0.lock().views.extend([live.clone(), beside(&world, 'h', RequestState::Ended)]);
    let found = world.counter.find(&world.id.short(), is_live).unwrap();
    assert_eq!(found.id, live.id);
    assert_eq!(world.counter.find(&world.id.short(), is_pending).unwrap().id, world.id.to_string());
    world.desk.0.lock().views.push(beside(&world, 'i', RequestState::Active));
    let told = world.counter.find(&world.id.short(), is_live).unwrap_err();
    assert!(told.message().contains(&live.id), "{told}");
    assert_eq!(world.counter.find(&live.id, is_live).unwrap().id, live.id);
}
