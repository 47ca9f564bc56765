//! A machine whose clock is ten minutes off, the customer's or the broker's; the real programs under a `clock_gettime`
//! that lies.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::process::Command;
use tunnel_certs::statement::outcome::Outcome;
use tunnel_integration::harness::{
    PATIENCE,
    broker::ADMINISTRATOR,
    client::ClientSettings,
    command::{ended, run},
    operator::access_to,
    tunnelctl::Tunnelctl,
    vendor::now,
    wait::until,
};
use tunnel_protos::v1::RequestState;

use super::lab::{Lab, STATUS, Site, cluster};

/// Through what a program is entered whose clock is to be so far off; the lie is compiled into `folder`.
pub(super) async fn off_by(seconds: i64, folder: &Path) -> Vec<String> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, CLOCK).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]);
    run(compiler).await.unwrap();
    vec!["env".to_owned(), format!("LD_PRELOAD={}", library.display()), format!("CLOCK_OFF_BY={seconds}")]
}

impl Lab {
    /// Starts a client whose clock is so far off.
    async fn starts_off_by(&self, seconds: i64, settings: ClientSettings) -> Site {
        let client = settings.spawn(&off_by(seconds, &settings.folder).await).unwrap();
        self.site_of(settings, client)
    }

    /// Starts the broker that was stopped, and the administrator's machine, with clocks that are so far ahead; how others
    /// are entered to be so, too.
    pub(super) async fn sets_ahead(&mut self, time: Duration) -> Vec<String> {
        let entry = off_by(i64::try_from(time.as_secs()).unwrap(), &self.path("")).await;
        self.start_broker_through(&entry).await;
        self.desk = Tunnelctl::new(&self.path("desk"), entry.clone()).unwrap();
        let adam = self.vendor.operator_at(&ADMINISTRATOR.parse().unwrap(), now().plus(time)).unwrap();
        self.desk.login(&self.vendor, &adam, self.broker_settings.listen.tcp).await.unwrap();
        entry
    }

    /// Waits until `tunnelctl call` at the administrator's machine, whose clock may be set ahead, is answered.
    pub(super) async fn is_called_by_the_desk(&self) {
        // An attempt that waits for the cluster is given up and begun anew.
        until("a call works", 3 * PATIENCE, || async {
            let words = ["call", "acme/prod", STATUS, "--reason", "after an absence"];
            let answer = run(self.desk.command(&words)?).await?;
            anyhow::ensure!(answer.contains("healthy"), "{answer}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Stops the broker and starts it again with a clock that is so far off.
    async fn broker_is_off_by(&mut self, seconds: i64) {
        self.broker.stop(PATIENCE).await.unwrap();
        self.start_broker_through(&off_by(seconds, &self.path("broker")).await).await;
    }
}

async fn enrolled() -> (Lab, Site) {
    let lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let site = lab.site("customer", &bundle);
    lab.enrolls(&site).await;
    lab.is_called().await;
    (lab, site)
}

#[tokio::test]
async fn a_broker_ten_minutes_ahead_is_told_by_the_client_and_all_goes_on_with_the_right_time() {
    let (mut lab, site) = enrolled().await;
    lab.broker_is_off_by(600).await;
    says_of_its_tunnel(&site, "clock").await;
    lab.broker_is_off_by(0).await;
    lab.is_called().await;
}

#[tokio::test]
async fn a_broker_ten_minutes_behind_is_told_by_the_client_and_all_goes_on_with_the_right_time() {
    let (mut lab, mut site) = enrolled().await;
    // Certificates of before are too young for it, those that it issues now are not.
    lab.broker_is_off_by(-600).await;
    says_of_its_tunnel(&site, "clock").await;
    let refused = ended(lab.desk.command(&["clusters"]).unwrap()).await.unwrap();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    lab.broker_is_off_by(0).await;
    site.client.stop(PATIENCE).await.unwrap();
    site.restarts();
    lab.is_called().await;
}

/// Waits until a tunnel's last error says so.
async fn says_of_its_tunnel(site: &Site, what: &str) {
    until("it says what is wrong", PATIENCE, || async {
        let says: Value = site.says().await?;
        let error = says["tunnels"][0]["lastError"].as_str().unwrap_or_default().to_owned();
        anyhow::ensure!(error.contains(what), "{says}");
        Ok(())
    })
    .await
    .unwrap();
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
