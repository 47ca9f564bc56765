//! The API over a real socket, with a desk that remembers what it was asked.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tunnel_protos::{
    RequestId,
    approvers::{
        CallView, GetRequestRequest, GetStatusRequest, ListRequestsRequest, PauseRequest, RequestView,
        RevokeRequest, SessionView, WatchSessionsRequest, approvers_client::ApproversClient,
    },
    v1::Reason,
};
use tunnel_runtime::drain;

use super::{
    testing::{Asked, Remembering},
    *,
};

struct World {
    desk: Remembering,
    client: ApproversClient<Channel>,
    _drain: drain::Drain,
    _folder: tempfile::TempDir,
    _server: tokio::task::JoinSet<()>,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/approvers.sock");
    let desk = Remembering::default();
    let (signal, watch) = drain::channel();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(serve(bind(&path).unwrap(), desk.clone(), desk.offices(), watch));
    World { desk, client: connect(path).await, _drain: signal, _folder: folder, _server: server }
}

async fn connect(path: PathBuf) -> ApproversClient<Channel> {
    let connector = tower::service_fn(move |_: http::Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://socket").connect_with_connector(connector).await.unwrap();
    ApproversClient::new(channel)
}

fn view(id: RequestId) -> RequestView {
    let reason = Reason { text: "disk \u{1b}[31mfull".into(), ..Reason::default() };
    RequestView { id: id.to_string(), reason: Some(reason), ..RequestView::default() }
}

fn revoke(id: &str, note: &str) -> RevokeRequest {
    RevokeRequest { id: id.into(), note: note.into() }
}

#[tokio::test]
async fn escapes_text_from_elsewhere() {
    let mut world = world().await;
    world.desk.0.lock().views.push(view(RequestId::random()));
    let listed = world.client.list_requests(ListRequestsRequest { all: false }).await.unwrap().into_inner();
    assert_eq!(listed.requests[0].reason.as_ref().unwrap().text, "disk \\u{1b}[31mfull");
    world.desk.0.lock().status.refusing = "a\u{202e}b".into();
    let status = world.client.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.refusing, "a\\u{202e}b");
}

#[tokio::test]
async fn revokes_by_a_short_id_and_records_who() {
    let mut world = world().await;
    let id = RequestId::random();
    world.desk.0.lock().views.push(view(id));
    let reply = world.client.revoke(revoke(&id.short(), "on call")).await.unwrap().into_inner();
    assert_eq!((reply.id, reply.sessions_cut), (id.to_string(), 3));
    let by = Who::Peer(Peer { uid: rustix::process::getuid().as_raw() });
    assert_eq!(world.desk.asked(), [Asked::Revoke(id.into(), "on call".into(), by)]);
    assert_eq!(
        world.client.revoke(revoke(&id.short(), "")).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
}

#[tokio::test]
async fn refuses_ambiguous_short_and_unknown_ids() {
    let mut world = world().await;
    world.desk.0.lock().views.extend([view("aaaaaaaa-0000-4000-8000-000000000001".parse().unwrap())]);
    world.desk.0.lock().views.extend([view("aaaaaaaa-0000-4000-8000-000000000002".parse().unwrap())]);
    for (id, code) in
        [("aaa", Code::InvalidArgument), ("aaaaaaaa", Code::InvalidArgument), ("bbbb", Code::NotFound)]
    {
        let error = world.client.get_request(GetRequestRequest { id: id.into() }).await.unwrap_err();
        assert_eq!(error.code(), code, "{id}");
    }
}

#[tokio::test]
async fn refuses_a_deceptive_note() {
    let mut world = world().await;
    let id = RequestId::random();
    world.desk.0.lock().views.push(view(id));
    let error = world.client.revoke(revoke(&id.to_string(), "a\u{202e}b")).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(world.desk.asked(), []);
}

#[tokio::test]
async fn the_socket_is_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/approvers.sock");
    let _listener = bind(&path).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o660, 0o750));
}

#[tokio::test]
async fn refuses_a_folder_open_to_others_or_writable_by_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    for mode in [0o755, 0o751, 0o770] {
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(bind(&open.join("a.sock")), Err(SocketError::OpenFolder(_))), "{mode:o}");
    }
}

#[tokio::test]
async fn replaces_a_dead_socket_but_never_a_live_one_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/approvers.sock");
    let live = bind(&path).unwrap();
    assert!(matches!(bind(&path), Err(SocketError::InUse(_))));
    drop(live);
    drop(bind(&path).unwrap());
    let file = folder.path().join("run/file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(bind(&file), Err(SocketError::NotASocket(_))));
}

#[tokio::test]
async fn sessions_are_watched_in_bounded_snapshots_with_safe_texts() {
    let mut world = world().await;
    let session = |id| SessionView {
        id,
        operator: "mal\u{1b}[31mlory".into(),
        calls: vec![CallView { method: "a.B/C\u{202e}".into(), ..Default::default() }; 70],
        ..Default::default()
    };
    world.desk.0.lock().sessions.sessions = (0..300).map(session).collect();
    let mut views = world.client.watch_sessions(WatchSessionsRequest {}).await.unwrap().into_inner();
    for _ in 0..2 {
        let view = views.message().await.unwrap().unwrap();
        assert_eq!((view.sessions.len(), view.sessions[0].id), (256, 44), "the newest");
        assert_eq!(view.sessions[0].calls.len(), 64);
        assert_eq!(view.sessions[0].operator, "mal\\u{1b}[31mlory");
        assert_eq!(view.sessions[0].calls[0].method, "a.B/C\\u{202e}");
    }
}

#[tokio::test]
async fn watchers_leave_room_for_those_who_cut() {
    let mut world = world().await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(world.client.watch_sessions(WatchSessionsRequest {}).await.unwrap());
    }
    let refused = world.client.watch_sessions(WatchSessionsRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(world.client.pause(PauseRequest { note: String::new() }).await.is_ok());
}

#[tokio::test]
async fn the_kernel_says_who_is_at_the_other_end() {
    let world = world().await;
    let here = rustix::process::getuid();
    let reply = world.client.clone().pause(PauseRequest { note: String::new() }).await.unwrap();
    assert_eq!(reply.into_inner().who, format!("uid {}", here.as_raw()));
}
