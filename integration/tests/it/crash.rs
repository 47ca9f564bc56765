//! Power cuts: whichever program is killed (-9) after whichever step of the demo, calls work again by themselves.

use std::time::Duration;

use tokio::time::Instant;
use tunnel_integration::{
    demo::{
        narrator::Narrator,
        stage::{Role, Stage},
        steps,
    },
    harness::wait::until,
};

/// What the demo promises.
const RECOVERY: Duration = Duration::from_secs(10);

/// A working call: by the session of the demo's own operator, or by a fresh one of its own.
async fn works(stage: &Stage) -> anyhow::Result<()> {
    let line = "tunnelctl call acme/prod engine.admin.v1.Admin/GetStatus -d '{}' --max-time 3s --reason witness \
                --protoset customer/reference-engine.protoset --wait 3s";
    let ran = stage.shell.quietly(line).await?;
    anyhow::ensure!(ran.status.success() && ran.text.contains("healthy"), "{}", ran.text);
    Ok(())
}

async fn crash_each(stage: &mut Stage, step: &str) {
    for role in [Role::Broker, Role::Client, Role::Engine] {
        let start = Instant::now();
        stage.crash(role).await.unwrap();
        let what = format!("a call works after {role:?} was killed after {step}");
        until(&what, RECOVERY, || works(stage)).await.unwrap();
        println!("{step}: {role:?} killed, calls work again after {:?}", start.elapsed());
        assert!(start.elapsed() < RECOVERY, "{role:?} after {step}");
    }
}

#[tokio::test]
async fn calls_work_again_within_10_s_of_any_kill_after_any_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path(), Narrator::silent()).unwrap();
    let stage = &mut stage;
    steps::vendor::keys(stage).await.unwrap();
    steps::customer::register(stage).await.unwrap();
    steps::customer::start(stage).await.unwrap();
    steps::operator::log_in(stage).await.unwrap();
    crash_each(stage, "log in").await;
    steps::operator::connect(stage).await.unwrap();
    crash_each(stage, "connect").await;
    steps::calls::call(stage).await.unwrap();
    crash_each(stage, "call").await;
    steps::calls::out_of_scope(stage).await.unwrap();
    crash_each(stage, "out of scope").await;
    steps::calls::revoke(stage).await.unwrap();
    crash_each(stage, "revoke").await;
}
