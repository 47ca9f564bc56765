//! A customer's machine whose clock is ten minutes off; the real program under a `clock_gettime` that lies.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::process::Command;
use tunnel_certs::statement::outcome::Outcome;
use tunnel_integration::harness::{
    PATIENCE, binaries, client::ClientSettings, command::run, operator::access_to, program::Program,
    wait::until,
};
use tunnel_protos::v1::RequestState;

use super::lab::{Lab, STATUS, Site, cluster};

/// Compiles the lie; whoever preloads it is `SECONDS` off.
async fn lie(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, CLOCK).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]);
    run(compiler).await.unwrap();
    library
}

impl Lab {
    /// Starts a client whose clock is so far off.
    async fn starts_off_by(&self, seconds: i64, settings: ClientSettings) -> Site {
        settings.write().unwrap();
        let mut command = binaries::command("tunnel-client", &[]).unwrap();
        command.args(["run", "--config"]).arg(settings.file());
        command.env("LD_PRELOAD", lie(&settings.folder).await).env("CLOCK_OFF_BY", seconds.to_string());
        let log = settings.folder.join("client.log");
        self.site_of(settings, Program::start("client", command, &log).unwrap())
    }
}

#[tokio::test]
async fn a_client_ten_minutes_behind_says_so_and_goes_on_with_the_right_time() {
    let lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let mut site = lab.starts_off_by(-600, lab.settings("customer", &bundle)).await;
    until("it says what is wrong", PATIENCE, || async {
        let view = site.view().await?;
        anyhow::ensure!(view["lastError"].as_str().unwrap_or_default().contains("clock"), "{view}");
        Ok(())
    })
    .await
    .unwrap();
    site.client.stop(PATIENCE).await.unwrap();
    site.restarts();
    lab.enrolls(&site).await;
    lab.is_called().await;
}

#[tokio::test]
async fn a_client_ten_minutes_ahead_says_so_and_an_approver_sets_its_clock_back() {
    let lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let mut site = lab.site("customer", &bundle);
    lab.enrolls(&site).await;
    site.client.stop(PATIENCE).await.unwrap();
    let mut site = lab.starts_off_by(600, site.settings).await;
    told_of_the_clock(&lab, RequestState::Denied).await;
    // The time that it saw last stays, whatever the wall says: nobody makes it forget what ended meanwhile.
    site.client.stop(PATIENCE).await.unwrap();
    site.restarts();
    told_of_the_clock(&lab, RequestState::Pending).await;
    let reset = site.customer.run(&["clock", "reset", "--key", &site.key]).await.unwrap();
    assert_eq!(reset.code, Some(0), "{reset:?}");
    // What could be a repetition, by clocks that may differ by two minutes, is refused for so long.
    let refused = asked(&lab).await;
    assert_eq!(refused.state, RequestState::Denied, "{}", refused.reason);
    assert!(refused.reason.contains("its clock set back"), "{}", refused.reason);
    let words: Vec<_> = refused.reason.split([' ', ';']).collect();
    let then =
        words.iter().find_map(|word| humantime::parse_rfc3339(word.trim_end_matches(':')).ok()).unwrap();
    assert!(then <= SystemTime::now() + Duration::from_secs(120), "{}", refused.reason);
}

/// Requests here are for ten minutes: over when they come, or too old to be answered by itself.
async fn told_of_the_clock(lab: &Lab, state: RequestState) {
    let told = asked(lab).await;
    assert_eq!(told.state, state, "{}", told.reason);
    assert!(told.reason.contains("clock"), "{}", told.reason);
}

async fn asked(lab: &Lab) -> Outcome {
    let ada = lab.operator("ada");
    let asked = ada.ask(&cluster(), access_to(&[STATUS]).unwrap()).await.unwrap();
    ada.outcome(&asked, |_| true).await.unwrap()
}

/// Only the wall clock is off; what waits goes by the monotonic one.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int done = (int)syscall(SYS_clock_gettime, clock, time);
    const char *off = getenv("CLOCK_OFF_BY");
    if (done == 0 && clock == CLOCK_REALTIME && off)
        time->tv_sec += atol(off);
    return done;
}
"#;
