use std::{
    future::{pending, ready},
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rustix::process::{Pid, kill_process};

use super::*;

const GRACE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn what_finishes_in_time_is_not_cut_short() {
    let (drain, watch) = channel();
    assert!(drain.run(GRACE, ready(())).await);
    assert_eq!(watch.phase(), Phase::Cut);
}

#[tokio::test(start_paused = true)]
async fn the_grace_period_is_bounded() {
    let (drain, watch) = channel();
    let began = tokio::time::Instant::now();
    let (finished, ()) = tokio::join!(drain.run(GRACE, pending()), async {
        watch.draining().await;
        assert_eq!(watch.phase(), Phase::Draining);
        watch.cut().await;
    });
    assert!(!finished);
    assert_eq!(began.elapsed(), GRACE + FAREWELL, "what is cut has a moment to say so");
}

#[tokio::test]
async fn phases_never_go_back() {
    let (drain, watch) = channel();
    drain.cut();
    drain.begin();
    assert_eq!(watch.phase(), Phase::Cut);
    watch.draining().await;
}

#[tokio::test]
async fn a_signal_that_is_dropped_cuts() {
    let (drain, watch) = channel();
    drop(drain);
    watch.cut().await;
    assert!(watch.is_draining());
}

/// Not a test: the process that the test below signals.
#[tokio::test]
#[ignore = "run as a child process by the test below"]
async fn child() {
    let mut first = std::pin::pin!(signaled());
    // Polled once: from here on the handlers are in place.
    tokio::select! {
        biased;
        _ = &mut first => unreachable!(),
        () = ready(()) => println!("serving"),
    }
    let _second = first.await.unwrap();
    println!("draining");
    pending::<()>().await;
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "drain::tests::child", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let pid = Pid::from_child(&child);
    assert!(said.any(|line| line.ends_with("serving")));
    kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(said.any(|line| line.ends_with("draining")));
    assert!(child.try_wait().unwrap().is_none());
    kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(AT_ONCE));
}
