use tunnel_protos::{UnixMillis, operators::Delivery};

use super::*;
use crate::{
    surroundings::Terminal,
    testing::{Captured, NOW, clock},
};

struct Screen {
    console: Console,
    out: Captured,
    err: Captured,
}

fn screen(terminal: Terminal, format: Format) -> Screen {
    let (out, err) = (Captured::default(), Captured::default());
    Screen { console: Console::new(Box::new(out.clone()), Box::new(err.clone()), terminal, format), out, err }
}

impl Screen {
    fn tell(&mut self, news: &[News]) {
        let progress = Progress::new(NOW);
        let sentence = String::new();
        let mut teller =
            Teller { console: &mut self.console, clock: clock(), progress, sentence, notified: 0 };
        news.iter().for_each(|news| teller.tell(news));
    }
}

fn pending(reason: &str) -> News {
    let until = UnixMillis(NOW.0 + 3_600_000);
    let notified = vec![("alice\u{1b}[2J".to_owned(), NOW)];
    News::Pending(Pending { had: 0, needed: 1, notified, since: NOW, until, reason: reason.into() })
}

#[test]
fn a_terminal_has_one_line_that_goes_away() {
    let mut screen = screen(Terminal { stderr: true, columns: 200, ..Terminal::default() }, Format::Text);
    screen.tell(&[News::BrokerSays(Delivery::Sent), pending(""), News::Tick]);
    let shown = screen.err.text();
    assert!(shown.lines().count() == 2, "{shown:?}");
    assert!(
        shown.contains("0 of 1 approvals · customer notified ") && shown.ends_with("\r\x1b[K"),
        "{shown:?}"
    );
}

#[test]
fn elsewhere_each_change_is_a_line_of_its_own() {
    let mut screen = screen(Terminal::default(), Format::Text);
    screen.tell(&[News::BrokerSays(Delivery::Sent), News::Tick, News::Tick, pending(""), News::Tick]);
    let shown = screen.err.text();
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(
        shown.starts_with("waiting: broker says: sent to the cluster\ncustomer notified: alice"),
        "{shown}"
    );
    assert!(shown.contains("\nwaiting: 0 of 1 approvals"), "{shown}");
}

#[test]
fn elsewhere_no_line_comes_twice() {
    let mut screen = screen(Terminal::default(), Format::Text);
    let (waiting, lost) = (News::BrokerSays(Delivery::Waiting), News::Reconnecting("refused".into()));
    // The broker is lost and found again, and then the certificate is waited for as the grant was.
    screen.tell(&[waiting.clone(), lost.clone(), waiting.clone(), lost]);
    screen.tell(&[waiting]);
    let shown = screen.err.text();
    assert_eq!(shown.lines().count(), 2, "{shown}");
}

#[test]
fn scripts_get_json_for_each_change() {
    let mut screen = screen(Terminal::default(), Format::Json);
    screen.tell(&[News::BrokerSays(Delivery::Waiting), News::Tick, pending("asked before")]);
    let events: Vec<serde_json::Value> =
        screen.out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["brokerSays"], "waiting");
    assert_eq!(events[0]["text"], "in the mailbox", "nobody knows yet whether the cluster is offline");
    assert_eq!((&events[1]["approvalsNeeded"], &events[1]["reason"]), (&1.into(), &"asked before".into()));
}

#[test]
fn news_are_escaped_and_labeled() {
    let mut screen = screen(Terminal::default(), Format::Text);
    let trick = || "\u{1b}[2J\u{202e}".to_owned();
    screen.tell(&[pending(&trick()), News::Ignored(trick()), News::Reconnecting(trick())]);
    let shown = screen.err.text();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    assert!(shown.contains("cluster says: "), "{shown}");
}
