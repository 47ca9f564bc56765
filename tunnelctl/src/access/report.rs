//! What the person, or the script, learns while access is being got. Broker's statements are labeled as such.

use serde_json::json;

use super::{
    advice::{self, Told},
    progress::{Progress, delivery_name, just_sent},
};
use crate::{
    app::App,
    console::{Console, Format, safe, when},
    ending::Ending,
    requester::{
        record::Record,
        state_name,
        wait::{Finish, News, Pending},
    },
    surroundings::Clock,
};

/// The words come before anything else: the customer's side sees the same ones.
pub(crate) fn submitted(app: &mut App, record: &Record) {
    if app.console.format() == Format::Json {
        let event = json!({
            "event": "submitted", "id": record.id.to_string(), "cluster": record.cluster.to_string(),
            "words": record.words().to_string(), "expiresMs": record.expires.0,
        });
        app.console.json(&event);
    }
    app.console.note(format_args!("request {} to {}", record.id, record.cluster));
    app.console.note(format_args!("words   {}", record.words()));
}

/// Tells what is new while waiting: a live line on a terminal, each new line once elsewhere, JSON for scripts.
pub(crate) struct Teller<'a> {
    console: &'a mut Console,
    clock: Clock,
    progress: Progress,
    sentence: String,
    notified: usize,
}

impl<'a> Teller<'a> {
    /// A teller of one waiting that begins now.
    pub(crate) fn new(app: &'a mut App) -> Self {
        let progress = Progress::new(app.clock.now());
        let sentence = String::new();
        Self { console: &mut app.console, clock: app.clock.clone(), progress, sentence, notified: 0 }
    }

    /// Tells one piece of news.
    pub(crate) fn tell(&mut self, news: &News) {
        if self.console.format() == Format::Json
            && let Some(event) = event(news)
        {
            self.console.json(&event);
        }
        match news {
            News::Ignored(problem) => {
                self.console.warn(format_args!("the broker delivered {}; it is ignored", safe(problem)));
            }
            News::Pending(pending) => self.explain(pending),
            _ => {}
        }
        self.progress.on(news);
        self.show();
    }

    fn show(&mut self) {
        let now = self.clock.now();
        if self.console.is_watched() {
            self.console.live(&self.progress.line(now));
            return;
        }
        self.console.once(&format!("waiting: {}", self.progress.standing(now)));
    }

    /// The cluster's sentence, and who was told; each once.
    fn explain(&mut self, pending: &Pending) {
        let now = self.clock.now();
        for (who, time) in pending.notified.iter().skip(self.notified) {
            self.console.note(format_args!(
                "customer notified: {} at {}",
                safe(who),
                when::short(*time, now)
            ));
        }
        self.notified = self.notified.max(pending.notified.len());
        if !pending.reason.is_empty() && pending.reason != self.sentence {
            self.console.note(format_args!("cluster says: {}", safe(&pending.reason)));
            self.sentence.clone_from(&pending.reason);
        }
    }
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        self.console.settle();
    }
}

fn event(news: &News) -> Option<serde_json::Value> {
    Some(match news {
        News::BrokerSays(delivery) => {
            let name = delivery_name(*delivery);
            json!({ "event": "delivery", "brokerSays": name, "text": just_sent(*delivery) })
        }
        News::Pending(pending) => pending_event(pending),
        News::Granted { state, until } => {
            json!({ "event": "granted", "state": state_name(*state), "untilMs": until.0 })
        }
        News::Ignored(problem) => json!({ "event": "ignored", "message": safe(problem) }),
        News::Reconnecting(problem) => json!({ "event": "reconnecting", "message": safe(problem) }),
        News::Tick => return None,
    })
}

fn pending_event(pending: &Pending) -> serde_json::Value {
    let notified = pending.notified.iter().map(|(who, time)| json!({ "who": who, "timeMs": time.0 }));
    json!({
        "event": "pending", "approvalsHad": pending.had, "approvalsNeeded": pending.needed,
        "notified": notified.collect::<Vec<_>>(), "pendingUntilMs": pending.until.0, "reason": pending.reason,
    })
}

/// Says how a request ended that gave no certificate.
pub(crate) fn ended(app: &mut App, record: &Record, finish: &Finish) -> Ending {
    say(app, record, advice::of(record, finish))
}

/// Says an ending and what to do next.
pub(crate) fn say(app: &mut App, record: &Record, told: Told) -> Ending {
    let Told { event, text, hint, commands, exit } = told;
    if app.console.format() == Format::Json {
        let event = json!({
            "event": event, "id": record.id.to_string(), "message": text, "next": commands, "exit": exit as u8,
        });
        app.console.json(&event);
    }
    app.console.error(text);
    if !hint.is_empty() {
        app.console.note(hint);
    }
    commands.iter().for_each(|command| app.console.note(format_args!("  {command}")));
    exit.into()
}

/// `until 2026-11-20T04:02:00Z (in 59m)`, for a grant or a certificate.
pub(crate) fn until(app: &App, time: tunnel_protos::UnixMillis) -> String {
    when::until(time, app.clock.now())
}

#[cfg(test)]
mod tests;
