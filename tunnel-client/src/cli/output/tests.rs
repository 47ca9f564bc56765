//! What people and scripts see.

use super::*;
use tunnel_protos::approvers as api;

fn pending() -> api::RequestView {
    api::RequestView {
        id: "3fa85f64-5717-4562-b3fc-2c963f66afa6".into(),
        kind: "access".into(),
        words: "one two three four five six seven eight".into(),
        operator: "ann".into(),
        state: v1::RequestState::Pending.into(),
        deadlines: Some(v1::Deadlines { pending_until_ms: 3_723_000, ..Default::default() }),
        methods: vec!["a.B/C".into()],
        ..Default::default()
    }
}

#[test]
fn a_list_shows_the_next_deadline_and_the_words() {
    let list = api::ListRequestsReply { requests: vec![pending()] };
    let text = print(&Answer::Requests(list), Format::Text, UnixMillis(0));
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with("3fa85f64  access  ann       pending  in 1h 2m"), "{text}");
    assert!(row.ends_with("seven eight"), "{text}");
}

#[test]
fn an_empty_list_says_so() {
    let text = print(&Answer::Requests(api::ListRequestsReply::default()), Format::Text, UnixMillis(0));
    assert_eq!(text, "No requests.\n");
}

#[test]
fn one_request_is_shown_whole() {
    let text = print(&Answer::Request(Box::new(pending())), Format::Text, UnixMillis(0));
    for expected in ["3fa85f64-5717-4562-b3fc-2c963f66afa6", "Asks for:  a.B/C", "State:     pending"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn json_is_complete_and_parses() {
    let text = print(&Answer::Request(Box::new(pending())), Format::Json, UnixMillis(0));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["state"], "pending");
    assert_eq!(json["deadlines"]["pendingUntil"], 3_723_000);
}

#[test]
fn status_leaves_out_what_is_empty() {
    let status =
        api::Status { cluster: "acme/prod".into(), label: "aaaaaaaaaa".into(), ..Default::default() };
    let text = print(&Answer::Status(Box::new(status)), Format::Text, UnixMillis(0));
    assert!(text.contains("acme/prod (label aaaaaaaaaa)") && !text.contains("Refusing"), "{text}");
}
