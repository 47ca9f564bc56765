//! `bundle get`: a debug bundle from its release to a proven file, over connections that break and certificates that end.

use std::{future::pending, os::unix::fs::PermissionsExt, path::Path};

use tokio::sync::oneshot;
use tunnel_protos::v1::RequestState;
use tunnel_runtime::exit::Exit;

use super::{
    operating::{asked, ready},
    stage::Stage,
};
use crate::Ending;

/// A debug bundle that was made.
async fn collected(released: bool) -> (Stage, String) {
    let stage = ready(RequestState::Succeeded).await;
    stage.operation.bundle((0..=255).cycle().take(4500).collect(), released);
    let debug = ["request", "debug", "acme/prod", "status", "--reason", "INC-7"];
    let done = stage.run(&debug).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    let hint = done.err.lines().last().unwrap().trim().to_owned();
    let id = hint.strip_prefix("tunnelctl bundle get ").unwrap().to_owned();
    (stage, id)
}

#[tokio::test]
async fn a_released_bundle_is_fetched_across_broken_connections() {
    let (stage, id) = collected(true).await;
    stage.operation.change(|play| play.breaks = 2);
    let out = stage.path("debug.tar.zst");
    let done = stage.run(&["bundle", "get", &id, "-o", &out]).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert_eq!(std::fs::read(&out).unwrap(), stage.operation.look().bundle);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let again = stage.run(&["bundle", "get", &id, "-o", &out]).await;
    assert_eq!(again.ending, Exit::Usage.into(), "never over another file: {}", again.err);
}

#[tokio::test]
async fn a_bundle_that_is_not_what_was_released_leaves_no_file() {
    let changes: [fn(&mut crate::testing::operations::Play); 3] = [
        |play| play.bundle[1200] ^= 1,
        |play| play.bundle.truncate(4000),
        |play| play.bundle.extend([0; 5000]),
    ];
    for change in changes {
        let (stage, id) = collected(true).await;
        stage.operation.change(change);
        let out = stage.path("debug.tar.zst");
        let done = stage.run(&["bundle", "get", &id, "-o", &out]).await;
        assert_eq!(done.ending, Exit::Failed.into(), "{}", done.err);
        assert!(!Path::new(&out).exists());
        assert_eq!(std::fs::read_dir(stage.home.path()).unwrap().filter(is_temporary).count(), 0);
    }
}

fn is_temporary(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tmp")
}

#[tokio::test]
async fn a_bundle_waits_for_its_release() {
    let (stage, id) = collected(false).await;
    let out = stage.path("debug.tar.zst");
    let early = stage.run(&["bundle", "get", &id, "-o", &out]).await;
    assert_eq!(early.ending, Exit::Waiting.into(), "{}", early.err);
    assert!(early.err.contains("tunnel-client bundle release"), "{}", early.err);
    let sessions = stage.serials.lock().len();
    let looked = stage.operation.look().gets;
    let waiting = stage.start(&["bundle", "get", &id, "-o", &out, "--wait", "1m"], Box::pin(pending()));
    let release = async {
        // It looks again and again; then neither its session nor the one that lies there is good any more.
        stage.operation.gets(looked + 2).await;
        let looked = stage.operation.look().gets;
        stage.operation.change(|play| play.ended = 2);
        stage.operation.gets(looked + 3).await;
        stage.operation.change(|play| play.operation.bundle.as_mut().unwrap().released = true);
    };
    let (done, ()) = tokio::join!(waiting.end(), release);
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert!(Path::new(&out).exists());
    assert!(stage.serials.lock().len() > sessions + 1, "a new certificate");
}

#[tokio::test]
async fn whoever_stops_fetching_keeps_nothing() {
    let (stage, id) = collected(true).await;
    stage.operation.change(|play| play.breaks = usize::MAX);
    let out = stage.path("debug.tar.zst");
    let (stop, stopped) = oneshot::channel::<()>();
    let interrupt = Box::pin(async { stopped.await.unwrap() });
    let mut fetching = stage.start(&["bundle", "get", &id, "-o", &out], interrupt);
    fetching.until("trying again").await;
    stop.send(()).unwrap();
    let done = fetching.end().await;
    assert_eq!(done.ending, Exit::Waiting.into(), "{}", done.err);
    assert!(done.err.contains("stopped; nothing was kept") && !Path::new(&out).exists(), "{}", done.err);
}

#[tokio::test]
async fn a_bundle_larger_than_any_is_not_fetched() {
    let (stage, id) = collected(true).await;
    stage.operation.change(|play| play.operation.bundle.as_mut().unwrap().bytes = u64::MAX);
    let done = stage.run(&["bundle", "get", &id, "-o", &stage.path("x")]).await;
    assert_eq!(done.ending, Exit::Failed.into());
    assert!(done.err.contains("larger than any"), "{}", done.err);
}

#[tokio::test]
async fn an_operation_without_a_bundle_says_so() {
    let stage = ready(RequestState::Failed).await;
    let id = asked(&stage, &[]).await;
    let done = stage.run(&["bundle", "get", &id, "-o", &stage.path("x")]).await;
    assert_eq!(done.ending, Exit::Failed.into());
    assert!(done.err.contains("made no bundle"), "{}", done.err);
}
