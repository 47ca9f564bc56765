//! What the live table shows and what its keys do.

use super::*;
use crate::approvers::{
    self,
    testing::{Asked, Remembering},
};

fn session(id: u64, bytes_out: u64) -> api::SessionView {
    let call = |method: &str| api::CallView { method: method.into(), ..Default::default() };
    api::SessionView {
        id,
        grant: "3fa85f64-5717-4562-b3fc-2c963f66afa6".into(),
        operator: "ann\u{1b}[2J".into(),
        target: "default".into(),
        calls: vec![call("a.B/C"), call("a.B/C"), call("a.B/D\u{202e}")],
        calls_total: 7,
        bytes_in: 10,
        bytes_out,
        ..Default::default()
    }
}

fn view(time_ms: i64, bytes_out: u64) -> api::SessionsView {
    api::SessionsView { time_ms, sessions: vec![session(1, bytes_out)] }
}

#[test]
fn the_table_shows_methods_bytes_and_rate_without_tricks() {
    let mut screen = Screen::default();
    screen.take(view(1000, 0));
    screen.take(view(3000, 4096));
    let shown = table::sessions(&screen.view, &screen.rates, None, tunnel_protos::UnixMillis(3000));
    for part in ["3fa85f64", "3 of 7", "4.0 KiB", "2.0 KiB/s", "a.B/C ×2", "\\u{202e}", "ann\\u{1b}"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
}

fn two() -> Screen {
    let mut screen = Screen::default();
    screen.take(api::SessionsView { time_ms: 1000, sessions: vec![session(1, 0), session(2, 0)] });
    screen
}

#[test]
fn keys_select_rows_that_are_there() {
    let mut screen = two();
    screen.select(Some(2));
    assert_eq!(screen.selected, None, "there are two sessions only");
    screen.select(Some(1));
    assert_eq!((screen.selected, screen.place()), (Some(2), Some(1)));
    assert!(screen.draw().contains(">2"), "{}", screen.draw());
}

#[test]
fn who_takes_the_place_of_a_selected_session_is_not_selected() {
    let mut screen = two();
    screen.select(Some(0));
    screen.take(api::SessionsView { time_ms: 2000, sessions: vec![session(2, 0)] });
    assert_eq!(screen.selected, None);
}

#[test]
fn more_sessions_than_the_screen_has_are_counted() {
    let sessions = (0..20).map(|id| session(id, 0)).collect();
    let mut screen = Screen::default();
    screen.take(api::SessionsView { time_ms: 1000, sessions });
    assert!(screen.draw().contains("and 4 more"), "{}", screen.draw());
    assert!(screen.draw().lines().count() <= 24);
}

#[tokio::test]
async fn one_key_revokes_the_grant_of_the_selected_session() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/a.sock");
    let (desk, (_signal, drain)) = (Remembering::default(), tunnel_runtime::drain::channel());
    let grant = api::RequestView { id: session(1, 0).grant, ..Default::default() };
    desk.0.lock().views.push(grant);
    let mut server = tokio::task::JoinSet::new();
    server.spawn(approvers::serve(approvers::bind(&socket).unwrap(), desk.clone(), desk.offices(), drain));
    let mut client = crate::cli::customer::connect(&socket).await.unwrap();
    let mut screen = two();
    screen.press(Key::Cut, &mut client).await;
    assert_eq!((desk.asked().len(), &*screen.note), (0, "Select a session first."));
    screen.press(Key::Down, &mut client).await;
    screen.press(Key::Cut, &mut client).await;
    assert!(matches!(&desk.asked()[..], [Asked::Revoke(id, ..)] if id.to_string() == session(1, 0).grant));
}
