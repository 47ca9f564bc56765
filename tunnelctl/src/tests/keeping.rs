//! `connect --keep`: renewals, the end of a grant, and stopping; with certificates that live for seconds.

use std::{future::pending, path::Path, sync::atomic::Ordering, time::Duration};

use tokio::sync::oneshot;
use tunnel_protos::v1::RequestState;
use tunnel_runtime::exit::Exit;

use super::stage::{Stage, stage};
use crate::Ending;

const KEEP: [&str; 9] =
    ["connect", "acme/prod", "--reason", "disk full", "--method", "a.B/C", "--keep", "--output", "json"];

/// A stage with certificates and grants of so many seconds.
async fn lives(certificate: u64, grant: u64) -> Stage {
    let stage = stage(RequestState::Active).await;
    let end = stage.cluster.clock.now().plus(Duration::from_secs(grant));
    *stage.cluster.lives.lock() = (Duration::from_secs(certificate), end);
    stage.login("tunnel.example").await;
    stage
}

fn read(folder: &str, name: &str) -> Vec<u8> {
    std::fs::read(Path::new(folder).join(name)).unwrap()
}

#[tokio::test]
async fn certificates_are_renewed_for_the_same_key_until_the_grant_ends() {
    let stage = lives(3, 6).await;
    let out = stage.path("here");
    let mut keep = stage.start(&[&KEEP[..], &["--out", &out]].concat(), Box::pin(pending()));
    keep.until("\"event\":\"granted\",\"files\"").await;
    let first = ["key.pem", "cert.pem"].map(|name| read(&out, name));
    keep.until("\"event\":\"renewed\"").await;
    assert_eq!(read(&out, "key.pem"), first[0]);
    assert_ne!(read(&out, "cert.pem"), first[1]);
    let done = keep.end().await;
    assert_eq!(done.ending, Exit::Expired.into(), "{}", done.err);
    assert!(done.err.contains("the grant has ended"), "{}", done.err);
    assert!(!Path::new(&out).exists());
}

#[tokio::test]
async fn the_policys_shorter_time_is_said_with_the_first_certificate_only() {
    let stage = stage(RequestState::Approved).await;
    let end = stage.cluster.clock.now().plus(Duration::from_secs(60));
    *stage.cluster.lives.lock() = (Duration::from_secs(3), end);
    stage.login("tunnel.example").await;
    let mut keep = stage.start(&[&KEEP[..], &["--for", "1h"]].concat(), Box::pin(pending()));
    keep.until("\"event\":\"renewed\"").await;
    stage.certificates.send_replace((RequestState::Denied, "wait"));
    keep.until("the certificate is not renewed yet").await;
    assert_eq!(keep.err.text().matches("you asked for").count(), 1, "{}", keep.err.text());
}

#[tokio::test]
async fn a_revocation_ends_the_keeping_with_the_customers_note() {
    let stage = lives(900, 1800).await;
    let mut keep = stage.start(&KEEP, Box::pin(pending()));
    keep.until("\"files\"").await;
    stage.say(RequestState::Revoked, "work is done");
    let done = keep.end().await;
    assert_eq!(done.ending, Exit::Denied.into());
    assert!(done.err.contains("revoked by the customer: work is done"), "{}", done.err);
    assert_eq!(std::fs::read_dir(stage.folders().runtime.join("default")).unwrap().count(), 0);
}

#[tokio::test]
async fn stopping_leaves_the_grant_and_says_so() {
    let stage = lives(900, 1800).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut keep = stage.start(&KEEP, Box::pin(async { stopped.await.unwrap() }));
    keep.until("\"files\"").await;
    stop.send(()).unwrap();
    let done = keep.end().await;
    assert_eq!(done.ending, Ending::OK);
    assert!(
        done.err.contains("the grant goes on until") && done.err.contains("tunnelctl withdraw "),
        "{}",
        done.err
    );
    assert_eq!(stage.run(&["requests", "--output", "json"]).await.out.lines().count(), 1);
}

#[tokio::test]
async fn stopping_ends_the_grant_when_asked_to() {
    let stage = lives(900, 1800).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let line = [&KEEP[..], &["--withdraw-on-exit"]].concat();
    let mut keep = stage.start(&line, Box::pin(async { stopped.await.unwrap() }));
    keep.until("\"files\"").await;
    stop.send(()).unwrap();
    let done = keep.end().await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert!(done.out.contains("\"event\":\"withdrawn\""), "{}", done.out);
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n");
}

#[tokio::test]
async fn a_renewal_that_is_refused_is_told_and_tried_again() {
    let stage = lives(3, 60).await;
    let mut keep = stage.start(&KEEP, Box::pin(pending()));
    keep.until("\"files\"").await;
    stage.certificates.send_replace((RequestState::Denied, "paused by the customer"));
    keep.until("the certificate is not renewed yet").await;
    assert!(keep.err.text().contains("paused by the customer"), "{}", keep.err.text());
    stage.certificates.send_replace((RequestState::Done, ""));
    keep.until("\"event\":\"renewed\"").await;
}

#[tokio::test]
async fn a_call_that_is_cut_tells_the_customers_last_word() {
    let stage = lives(900, 1800).await;
    assert_eq!(stage.connect(&[]).await.ending, Ending::OK);
    stage.say(RequestState::Revoked, "work is done");
    stage.refusal.store(1, Ordering::Relaxed);
    let call = stage.run(&["call", "acme/prod", "a.B/C"]).await;
    assert_eq!(call.ending.code(), 65, "{}", call.err);
    assert!(call.err.contains("error: revoked by the customer: work is done"), "{}", call.err);
    assert_eq!(std::fs::read_dir(stage.folders().runtime.join("default")).unwrap().count(), 0);
}
