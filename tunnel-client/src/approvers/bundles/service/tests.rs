//! The methods with the peer given by hand: what leaves takes an approver, and the bundle that was shown.

use http::Extensions;
use prost::Message as _;
use tokio::net::UnixStream;
use tonic::Code;
use tunnel_certs::{
    key::{Algorithm, Signer, SigningKey},
    statement::approval::Approval,
};
use tunnel_protos::{
    operations::v1::{Bundle, BundleFile},
    v1::{OperationRequest, RequestState},
};
use tunnel_runtime::drain;

use super::*;
use crate::{
    approvers::testing::{Asked, NOW, Remembering},
    policy,
};

const ALICE: Peer = Peer { uid: 1001 };
const STRANGER: Peer = Peer { uid: 4242 };
const REQUEST: [u8; 32] = [7; 32];
const BUNDLE: [u8; 32] = [9; 32];

struct World {
    desk: Remembering,
    service: Service<Remembering>,
    key: SigningKey,
    id: RequestId,
    access: RequestId,
    _drain: drain::Drain,
}

fn world() -> World {
    let (signal, watch) = drain::channel();
    let (desk, key) = (Remembering::default(), SigningKey::generate(Algorithm::Ed25519).unwrap());
    let (id, access) = (RequestId::random(), RequestId::random());
    let alice = policy::Approver { key: None, uid: Some(ALICE.uid) };
    let bob = policy::Approver { key: Some(key.public().clone()), uid: None };
    let view = |id: RequestId, operation| api::RequestView {
        id: id.to_string(),
        digest: REQUEST.to_vec(),
        state: RequestState::Succeeded.into(),
        operation,
        ..Default::default()
    };
    let mut memory = desk.0.lock();
    memory.approvers =
        [("alice".parse().unwrap(), alice), ("bob".parse().unwrap(), bob)].into_iter().collect();
    memory.views = vec![view(id, Some(OperationRequest::default())), view(access, None)];
    memory.bundles = vec![api::BundleView {
        id: id.to_string(),
        operator: "ann\u{202e}".into(),
        made_ms: NOW.0,
        bundle: Some(Bundle {
            files: vec![BundleFile { path: "a\u{1b}[31m".into(), ..Default::default() }],
            ..Default::default()
        }),
    }];
    drop(memory);
    let counter = Arc::new(Counter::new(desk.clone(), watch));
    let service = Service::new(counter, Arc::new(desk.clone()));
    World { service, desk, key, id, access, _drain: signal }
}

impl World {
    async fn release(&self, peer: Peer, bundle: &[u8], approval: Vec<u8>) -> Result<(), Status> {
        let asked = api::ReleaseBundleRequest {
            id: self.id.short(),
            bundle_digest: bundle.to_vec(),
            note: "seen".into(),
            approval,
        };
        self.service.release(peer, asked).await.map(drop)
    }

    fn signed(&self, request: [u8; 32], bundle: [u8; 32]) -> Vec<u8> {
        let approval = Approval {
            label: self.desk.label(),
            approver: "bob".parse().unwrap(),
            time: NOW,
            note: "read".parse().unwrap(),
            subject: Subject::ReleaseBundle { request: Digest::new(request), bundle },
        };
        approval.make(&self.key).unwrap().encode_to_vec()
    }
}

/// As it comes over the socket, from this process's own user.
fn from_here<T>(message: T) -> Request<T> {
    let (near, _far) = UnixStream::pair().unwrap();
    let mut extensions = Extensions::new();
    extensions.insert(near.peer_cred().unwrap());
    let mut request = Request::new(message);
    *request.extensions_mut() = extensions;
    request
}

#[tokio::test]
async fn an_approver_lets_go_exactly_the_bundle_that_was_shown() {
    let world = world();
    world.release(ALICE, &BUNDLE, Vec::new()).await.unwrap();
    let [Asked::ReleaseBundle(id, bundle, note, by)] = &world.desk.asked()[..] else { panic!("one release") };
    assert_eq!((*id, *bundle, note.as_str(), by.name().as_str()), (world.id, BUNDLE, "seen", "alice"));
    assert_eq!(world.release(ALICE, &[1; 3], Vec::new()).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn nothing_leaves_by_the_word_of_a_stranger_or_by_an_approval_of_something_else() {
    let world = world();
    assert_eq!(
        world.release(STRANGER, &BUNDLE, Vec::new()).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    for approval in [world.signed([8; 32], BUNDLE), world.signed(REQUEST, [8; 32])] {
        let refused = world.release(STRANGER, &BUNDLE, approval).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    assert_eq!(world.desk.asked(), []);
    world.release(STRANGER, &BUNDLE, world.signed(REQUEST, BUNDLE)).await.unwrap();
    assert!(matches!(&world.desk.asked()[..], [Asked::ReleaseBundle(_, BUNDLE, note, _)] if note == "read"));
}

#[tokio::test]
async fn whoever_opens_the_socket_stops_and_deletes() {
    let world = world();
    let asked = api::CancelOperationRequest { id: world.id.to_string(), note: "enough".into() };
    world.service.cancel_operation(from_here(asked)).await.unwrap();
    let asked = api::DeleteBundleRequest { id: world.id.to_string() };
    world.service.delete_bundle(from_here(asked)).await.unwrap();
    let [Asked::CancelOperation(id, note, _), Asked::DeleteBundle(deleted, _)] = &world.desk.asked()[..]
    else {
        panic!("two orders")
    };
    assert_eq!((*id, note.as_str(), *deleted), (world.id, "enough", world.id));
}

#[tokio::test]
async fn only_operations_are_stopped() {
    let world = world();
    let asked = api::CancelOperationRequest { id: world.access.to_string(), note: String::new() };
    let refused = world.service.cancel_operation(from_here(asked)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(world.desk.asked(), []);
}

#[tokio::test]
async fn bundles_are_listed_and_read_without_fooling_a_terminal() {
    let world = world();
    let listed = world.service.list_bundles(Request::new(api::ListBundlesRequest {})).await.unwrap();
    let bundle = listed.into_inner().bundles.remove(0);
    assert_eq!(
        (bundle.operator.as_str(), bundle.bundle.unwrap().files[0].path.as_str()),
        ("ann\\u{202e}", "a\\u{1b}[31m")
    );
    let read = |path: &str| {
        let asked = api::ReadBundleFileRequest { id: world.id.to_string(), path: path.to_owned() };
        world.service.read_bundle_file(Request::new(asked))
    };
    let parts: Vec<_> = read("status.json").await.unwrap().into_inner().collect().await;
    let text: Vec<u8> = parts.into_iter().flat_map(|part| part.unwrap().data).collect();
    assert_eq!(text, b"{\"ok\":true}");
    let Err(missing) = read("other").await else { panic!("no such file") };
    assert_eq!(missing.code(), Code::NotFound);
}
