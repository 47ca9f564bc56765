//! `requests --watch` and `sessions watch`: the newest state again and again, until interrupted.

mod keys;
mod table;

use std::time::Duration;

use tonic::Streaming;
use tunnel_protos::approvers as api;
use tunnel_runtime::exit::Exit;

use self::{
    keys::{Key, Keys},
    table::Rates,
};
use super::{
    super::{console::Person, customer::refused, output},
    Client, Console, Daemon, Failed, answered,
};
use crate::{cli::Format, clock};

/// Prints the list whenever it changes.
pub(super) async fn requests(daemon: &Daemon, all: bool, console: &mut Console) -> Result<Exit, Failed> {
    let mut client = daemon.connect(console).await?;
    let mut shown = None;
    let mut ticks = tokio::time::interval(PACE);
    loop {
        ticks.tick().await;
        let list = answered(client.list_requests(api::ListRequestsRequest { all })).await?;
        if shown.as_ref() != Some(&list) {
            match console.format {
                Format::Json => console.json_line(&output::json::requests(&list.requests))?,
                Format::Text => {
                    let stamp = output::stamp(clock::wall().0);
                    console
                        .text(&format!("{stamp}\n{}\n", output::requests(&list.requests, clock::wall())))?;
                }
            }
            shown = Some(list);
        }
    }
}

/// Shows open sessions each second; on a terminal one key cuts the one that is selected.
pub(super) async fn sessions(daemon: &Daemon, console: &mut Console) -> Result<Exit, Failed> {
    let mut client = daemon.connect(console).await?;
    let mut views = answered(client.watch_sessions(api::WatchSessionsRequest {})).await?;
    if console.format == Format::Text && console.person == Person::Present && console.is_screen() {
        return Screen::default().run(&mut client, &mut views, console).await;
    }
    while let Some(view) = next(&mut views).await? {
        console.json_line(&output::json::sessions(&view))?;
    }
    Ok(Exit::Ok)
}

/// The live table of one terminal.
#[derive(Default)]
struct Screen {
    rates: Rates,
    view: api::SessionsView,
    selected: Option<u64>,
    note: String,
}

impl Screen {
    async fn run(
        mut self,
        client: &mut Client,
        views: &mut Streaming<api::SessionsView>,
        console: &mut Console,
    ) -> Result<Exit, Failed> {
        let keys = Keys::grab()?;
        loop {
            tokio::select! {
                view = next(views) => match view? {
                    Some(view) => self.take(view),
                    None => return Ok(Exit::Ok),
                },
                key = keys.next() => match key? {
                    Key::Quit => return Ok(Exit::Ok),
                    key => self.press(key, client).await,
                },
            }
            console.text(&self.draw())?;
        }
    }

    fn take(&mut self, view: api::SessionsView) {
        self.rates.take(&view);
        self.view = view;
        // Its place may be another's by now, and a key must not cut what nobody selected.
        self.selected = self.selected.filter(|id| self.view.sessions.iter().any(|session| session.id == *id));
    }

    async fn press(&mut self, key: Key, client: &mut Client) {
        self.note.clear();
        match key {
            Key::Digit(number) => self.select(number.checked_sub(1)),
            Key::Down => self.select(Some(self.place().map_or(0, |at| at + 1))),
            Key::Up => self.select(self.place().and_then(|at| at.checked_sub(1))),
            Key::Cut => self.cut(client).await,
            Key::Other | Key::Quit => {}
        }
    }

    fn place(&self) -> Option<usize> {
        self.view.sessions.iter().position(|session| Some(session.id) == self.selected)
    }

    /// Selects the session in this row; without such a row, what was selected stays.
    fn select(&mut self, row: Option<usize>) {
        let shown = row.filter(|row| *row < table::MOST_ROWS).and_then(|row| self.view.sessions.get(row));
        self.selected = shown.map(|session| session.id).or(self.selected);
    }

    async fn cut(&mut self, client: &mut Client) {
        let Some(session) = self.place().and_then(|at| self.view.sessions.get(at)) else {
            self.note = "Select a session first.".into();
            return;
        };
        let asked = api::RevokeRequest { id: session.grant.clone(), note: "cut from sessions watch".into() };
        self.note = match answered(client.revoke(asked)).await {
            Ok(reply) => format!("Revoked {}; sessions cut: {}.", reply.id, reply.sessions_cut),
            Err(error) => error.to_string(),
        };
    }

    /// From the top left, each line cleared to its end, the rest of the screen below; long lines are cut, not wrapped.
    fn draw(&self) -> String {
        let table = table::sessions(&self.view, &self.rates, self.selected, clock::wall());
        let body = format!("{table}\n{}\n\n{KEYS}\n", self.note);
        format!("\x1b[?7l\x1b[H{}\x1b[J\x1b[?7h", body.replace('\n', "\x1b[K\r\n"))
    }
}

async fn next(views: &mut Streaming<api::SessionsView>) -> Result<Option<api::SessionsView>, Failed> {
    let late = |_| Err(tonic::Status::deadline_exceeded(""));
    let next = tokio::time::timeout(SILENCE, views.message()).await.unwrap_or_else(late);
    next.map_err(|status| refused(&status))
}

const KEYS: &str = "1-9, arrows or j k select · x cuts: revokes its grant for ever · q quits";
/// Fast enough for people.
const PACE: Duration = Duration::from_secs(1);
/// Snapshots come each second.
const SILENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
