//! Enrollment and every roll-over with a few real replicas; `make test-rotation` does it with hundreds.

use tunnel_integration::rotation::{self, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_rotated_under_calls_and_none_fails() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { replicas: 4, called: 2, offline: 1 };
    let report = rotation::run(options, folder.path(), |line| println!("{line}")).await.unwrap();
    assert!(report.calls > 0);
    assert_eq!(report.failed, 0, "{report}");
}
