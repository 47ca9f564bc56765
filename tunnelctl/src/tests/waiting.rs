//! Asking, waiting, watching: what is said and every exit code.

use tunnel_protos::{operators::Delivery, v1::RequestState};
use tunnel_runtime::exit::Exit;

use super::stage::{Done, Stage, stage};
use crate::Ending;

/// A stage where `dana` asked for access without waiting.
async fn asked(state: RequestState) -> (Stage, String) {
    let stage = stage(state).await;
    stage.login("tunnel.example").await;
    let line = ["request", "access", "acme/prod", "--method", "a.B/C", "--reason", "disk full"];
    let asked = stage.run(&line).await;
    assert_eq!(asked.ending, Ending::OK, "{}", asked.err);
    (stage, asked.out.trim().to_owned())
}

async fn watch(stage: &Stage, id: &str, more: &[&str]) -> Done {
    stage.run(&[&["watch", id, "--wait", "500ms"][..], more].concat()).await
}

#[tokio::test]
async fn asking_prints_the_id_and_the_words() {
    let (stage, id) = asked(RequestState::Pending).await;
    let requests = stage.run(&["requests"]).await;
    assert!(requests.out.contains(&id) && requests.out.contains("unanswered"), "{}", requests.out);
}

#[tokio::test]
async fn watching_exits_by_the_clusters_answer() {
    for (state, exit) in [
        (RequestState::Approved, Exit::Ok),
        (RequestState::Active, Exit::Ok),
        (RequestState::Denied, Exit::Denied),
        (RequestState::Pending, Exit::Waiting),
        (RequestState::Expired, Exit::Expired),
        (RequestState::Withdrawn, Exit::Expired),
        (RequestState::Revoked, Exit::Denied),
    ] {
        let (stage, id) = asked(state).await;
        let watched = watch(&stage, &id, &[]).await;
        assert_eq!(watched.ending, exit.into(), "{state:?}: {}", watched.err);
    }
}

#[tokio::test]
async fn an_offline_cluster_exits_6_with_what_to_do() {
    let (stage, id) = asked(RequestState::Pending).await;
    stage.says.send_replace(Vec::new());
    stage.delivery.send_replace(Delivery::Waiting);
    let watched = watch(&stage, &id, &[]).await;
    assert_eq!(watched.ending, Exit::Offline.into(), "{}", watched.err);
    assert!(watched.err.contains("tunnelctl cluster show acme/prod"), "{}", watched.err);
    assert!(watched.err.contains(&format!("tunnelctl withdraw {id}")), "{}", watched.err);
}

#[tokio::test]
async fn watching_to_the_end_tells_grant_and_revocation() {
    let (stage, id) = asked(RequestState::Active).await;
    let mut watching = stage.start(&["watch", &id, "--until", "ended"], Box::pin(std::future::pending()));
    watching.until("active · until").await;
    stage.say(RequestState::Revoked, "work is done");
    let done = watching.end().await;
    assert_eq!(done.ending, Exit::Denied.into());
    assert!(done.err.contains("error: revoked by the customer: work is done\n"), "{}", done.err);
    let again = watch(&stage, &id, &[]).await;
    assert_eq!(again.ending, Exit::Denied.into());
    assert!(again.err.contains("revoked by the customer: work is done"), "{}", again.err);
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n");
    let all = stage.run(&["requests", "--all"]).await;
    assert!(all.out.contains("revoked") && all.out.contains("work is done"), "{}", all.out);
}

#[tokio::test]
async fn a_live_wait_tells_the_customers_sentence() {
    let (stage, id) = asked(RequestState::Pending).await;
    stage.say(RequestState::Pending, "you asked the same before and it was denied");
    let watched = watch(&stage, &id, &[]).await;
    assert!(watched.err.contains("cluster says: you asked the same before"), "{}", watched.err);
    assert!(watched.err.contains("waiting: 0 of 1 approvals · customer notified "), "{}", watched.err);
    let json = watch(&stage, &id, &["--output", "json"]).await;
    let last: serde_json::Value = serde_json::from_str(json.out.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["exit"]), (&"waiting".into(), &4.into()));
    assert!(last["next"][0].as_str().unwrap().starts_with("tunnelctl connect acme/prod --resume "));
}

#[tokio::test]
async fn the_same_undecided_ask_is_not_made_twice() {
    let (stage, id) = asked(RequestState::Pending).await;
    let connect = stage.connect(&["--wait", "300ms"]).await;
    assert!(connect.err.contains(&format!("going on with request {id}")), "{}", connect.err);
    assert_eq!(stage.only_request().await, id);
    let plain = stage.run(&["connect", "acme/prod", "--wait", "300ms"]).await;
    assert_eq!(plain.ending, Exit::Waiting.into(), "{}", plain.err);
    assert_eq!(stage.only_request().await, id);
    let anew = stage.connect(&["--wait", "300ms", "--anew"]).await;
    assert_eq!(anew.ending, Exit::Waiting.into());
    assert_eq!(stage.run(&["requests", "--output", "json"]).await.out.lines().count(), 2);
}

#[tokio::test]
async fn going_on_with_nothing_says_how_to_ask() {
    let stage = stage(RequestState::Approved).await;
    stage.login("tunnel.example").await;
    let connect = stage.run(&["connect", "acme/prod"]).await;
    assert_eq!(connect.ending, Exit::Usage.into());
    assert!(connect.err.contains("tunnelctl connect acme/prod --method"), "{}", connect.err);
}

#[tokio::test]
async fn a_paused_customer_leaves_the_grant_to_go_on_with() {
    let (stage, id) = asked(RequestState::Approved).await;
    stage.certificates.send_replace((RequestState::Denied, "paused by the customer since 03:02"));
    let connect = stage.run(&["connect", "acme/prod"]).await;
    assert_eq!(connect.ending, Exit::Denied.into());
    assert!(
        connect.err.contains("no certificate under this grant: paused by the customer"),
        "{}",
        connect.err
    );
    assert!(connect.err.contains(&format!("tunnelctl connect acme/prod --resume {id}")), "{}", connect.err);
    stage.certificates.send_replace((RequestState::Done, ""));
    assert_eq!(stage.run(&["connect", "acme/prod", "--resume", &id]).await.ending, Ending::OK);
}

#[tokio::test]
async fn a_grant_that_was_revoked_meanwhile_is_told_as_revoked_by_every_command() {
    let (stage, id) = asked(RequestState::Active).await;
    assert_eq!(watch(&stage, &id, &[]).await.ending, Ending::OK);
    stage.say(RequestState::Revoked, "work is done");
    stage.certificates.send_replace((RequestState::Denied, "The grant is not live"));
    let connect = stage.run(&["connect", "acme/prod", "--resume", &id]).await;
    assert_eq!(connect.ending, Exit::Denied.into());
    assert!(connect.err.contains("revoked by the customer: work is done"), "{}", connect.err);
    assert!(connect.err.contains("tunnelctl connect acme/prod --method a.B/C"), "{}", connect.err);
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n");
}

#[tokio::test]
async fn watching_a_grant_hears_that_it_was_revoked() {
    let (stage, id) = asked(RequestState::Active).await;
    assert_eq!(watch(&stage, &id, &[]).await.ending, Ending::OK);
    stage.say(RequestState::Revoked, "work is done");
    let watched = watch(&stage, &id, &[]).await;
    assert_eq!(watched.ending, Exit::Denied.into(), "{}", watched.err);
}

#[tokio::test]
async fn what_was_withdrawn_before_an_answer_was_withdrawn() {
    let (stage, id) = asked(RequestState::Pending).await;
    stage.certificates.send_replace((RequestState::Done, ""));
    assert_eq!(stage.run(&["withdraw", &id]).await.ending, Ending::OK);
    let again = stage.run(&["withdraw", &id]).await;
    assert_eq!(again.ending, Exit::Expired.into());
    assert!(again.err.contains("withdrawn by you"), "{}", again.err);
}

#[tokio::test]
async fn a_cluster_is_shown_in_full() {
    let stage = stage(RequestState::Approved).await;
    stage.login("tunnel.example").await;
    let show = stage.run(&["cluster", "show", "acme/prod"]).await;
    assert_eq!(show.ending, Exit::Offline.into(), "{}", show.err);
    assert!(show.out.contains("Words of the entry:") && show.out.contains("What to do:"), "{}", show.out);
}

#[tokio::test]
async fn a_failure_is_json_for_scripts() {
    let stage = stage(RequestState::Approved).await;
    let failed = stage.run(&["clusters", "--output", "json"]).await;
    let event: serde_json::Value = serde_json::from_str(failed.out.trim()).unwrap();
    assert_eq!((&event["event"], &event["exit"]), (&"failed".into(), &2.into()));
}

#[tokio::test]
async fn waiting_for_the_certificate_is_waiting_too() {
    let stage = stage(RequestState::Approved).await;
    stage.login("tunnel.example").await;
    stage.certificates.send_replace((RequestState::Pending, "not yet"));
    let connect = stage.connect(&["--wait", "400ms"]);
    let connect = tokio::time::timeout(std::time::Duration::from_secs(15), connect).await.expect("an end");
    assert_eq!(connect.ending, Exit::Waiting.into(), "{}", connect.err);
}
