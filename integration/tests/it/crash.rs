//! Power cuts: whichever program is killed (-9) after whichever step of the demo, enrollment included, calls work again by
//! themselves.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;
use tunnel_integration::{
    demo::{
        narrator::Narrator,
        play::REFERENCE,
        script::SCRIPT,
        shell::Shell,
        stage::{Role, Stage},
        steps::operator,
    },
    harness::wait::until,
};

/// What the demo promises.
const RECOVERY: Duration = Duration::from_secs(10);

/// Walks the whole script; after each step kills `role`, if it runs by then.
///
/// The steps that come before there is anything to kill leave files only; that the next ones go through shows that
/// those are whole.
async fn killed_after_each_step(role: Role) {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(folder.path(), Narrator::silent(), &REFERENCE).unwrap();
    // Kills come seconds apart here; pauses between dials grow until a tunnel was well for a minute.
    "timeouts: { longestPause: 1s }\n".clone_into(&mut stage.client_settings.more);
    let mut killed = 0;
    for step in SCRIPT {
        step.play(&mut stage).await.unwrap_or_else(|error| panic!("{}: {error:#}", step.name));
        if stage.running().contains(&role) {
            // Before both sides have confirmed nothing can be called: that the next steps go through shows recovery.
            match stage.enrolled {
                true => recovers(&mut stage, role, step.name).await,
                false => stage.crash(role).await.unwrap(),
            }
            killed += 1;
        }
    }
    assert!(killed > SCRIPT.len() / 2, "{role:?} was killed {killed} times only");
}

async fn recovers(stage: &mut Stage, role: Role, step: &str) {
    let start = Instant::now();
    stage.crash(role).await.unwrap();
    let what = format!("a call works after {role:?} was killed after {step}");
    let witness = stage.shell.of("witness");
    until(&what, RECOVERY, || works(stage, &witness)).await.unwrap();
    println!("{step}: {role:?} killed, calls work again after {:?}", start.elapsed());
    assert!(start.elapsed() < RECOVERY, "{role:?} after {step}");
}

/// A working call, by an operator who has nothing to do with the demo's.
async fn works(stage: &Stage, witness: &Shell) -> anyhow::Result<()> {
    let login = witness.quietly(&operator::login_line(stage)).await?;
    ensure!(login.status.success(), "{}", login.text);
    let line = "tunnelctl call acme/prod engine.admin.v1.Admin/GetStatus -d '{}' --max-time 1500ms --reason witness \
                --protoset customer/reference-engine.protoset --wait 3s";
    let ran = witness.quietly(line).await?;
    ensure!(ran.status.success() && ran.text.contains("healthy"), "{}", ran.text);
    Ok(())
}

#[tokio::test]
async fn calls_work_again_within_10_s_of_killing_the_broker_after_any_step() {
    killed_after_each_step(Role::Broker).await;
}

#[tokio::test]
async fn calls_work_again_within_10_s_of_killing_the_client_after_any_step() {
    killed_after_each_step(Role::Client).await;
}

#[tokio::test]
async fn calls_work_again_within_10_s_of_killing_the_engine_after_any_step() {
    killed_after_each_step(Role::Engine).await;
}
