//! The waiting in one line: where a request stands, by whose word, until when. Pure; see [`crate::console::Console::live`].

use std::time::Duration;

use tunnel_protos::{UnixMillis, operators::Delivery, text::spoken, time::lasting, v1::RequestState};

use crate::{
    console::when,
    requester::{
        state_name,
        wait::{News, Pending},
    },
};

/// What is known while waiting.
#[derive(Debug)]
pub(crate) struct Progress {
    since: UnixMillis,
    broker: Option<Delivery>,
    /// Seconds since the broker said so.
    stood: u32,
    cluster: Option<Answer>,
    trouble: Option<String>,
}

#[derive(Debug)]
enum Answer {
    Pending(Pending),
    Granted(RequestState, UnixMillis),
}

impl Progress {
    /// Nothing is known yet.
    pub(crate) const fn new(since: UnixMillis) -> Self {
        Self { since, broker: None, stood: 0, cluster: None, trouble: None }
    }

    /// Takes in what is new.
    pub(crate) fn on(&mut self, news: &News) {
        match news {
            News::BrokerSays(delivery) => {
                self.broker = Some(*delivery);
                self.stood = 0;
                self.trouble = None;
            }
            News::Pending(pending) => {
                self.cluster = Some(Answer::Pending(pending.clone()));
                self.trouble = None;
            }
            News::Granted { state, until } => self.cluster = Some(Answer::Granted(*state, *until)),
            News::Reconnecting(problem) => self.trouble = Some(problem.clone()),
            News::Tick => self.stood = self.stood.saturating_add(1),
            News::Ignored(_) => {}
        }
    }

    /// The line with the time waited: `0 of 1 approvals · customer notified 03:02 UTC · expires 04:02 UTC · 12s`.
    pub(crate) fn line(&self, now: UnixMillis) -> String {
        let waited = Duration::from_secs(now.since(self.since).as_secs());
        format!("{} · {}", self.standing(now), lasting(waited))
    }

    /// The line without the time waited: it changes only with news.
    pub(crate) fn standing(&self, now: UnixMillis) -> String {
        let mut parts = match (&self.cluster, self.broker) {
            (Some(Answer::Pending(pending)), _) => self::pending(pending, now),
            (Some(Answer::Granted(state, until)), _) => {
                vec![state_name(*state), format!("until {}", when::short(*until, now))]
            }
            (None, Some(delivery)) if self.stood < SETTLED => {
                vec![format!("broker says: {}", just_sent(delivery))]
            }
            (None, Some(delivery)) => vec![format!("broker says: {}", delivered(delivery))],
            (None, None) => vec!["asking the broker".into()],
        };
        // What the broker says of an answered request matters only when it is bad.
        if self.cluster.is_some() && self.broker == Some(Delivery::Waiting) && self.stood >= SETTLED {
            parts.push("broker says: cluster offline".into());
        }
        if self.trouble.is_some() {
            parts.push("broker out of reach, trying again".into());
        }
        parts.join(" · ")
    }
}

fn pending(pending: &Pending, now: UnixMillis) -> Vec<String> {
    let Pending { had, needed, notified, since, until, .. } = pending;
    let told = match notified.iter().map(|(_, time)| *time).max() {
        Some(last) => format!("customer notified {}", when::short(last, now)),
        None => format!("customer asked {}", when::short(*since, now)),
    };
    vec![format!("{had} of {needed} approvals"), told, format!("expires {}", when::short(*until, now))]
}

/// The same when it was just said: every request passes the mailbox, and only one that stays there means that the
/// cluster is offline.
pub(crate) fn just_sent(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Waiting => "in the mailbox",
        other => delivered(other),
    }
}

/// The broker's word for scripts: `waiting`, `sent` …
pub(crate) fn delivery_name(delivery: Delivery) -> String {
    spoken(delivery.as_str_name(), "DELIVERY_")
}

/// The broker's word, as a sentence with what to do.
pub(crate) fn delivered(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Unspecified => "nothing",
        Delivery::Waiting => "the cluster is offline; the request waits in its mailbox",
        Delivery::Sent => "sent to the cluster",
        Delivery::Taken => "the cluster took the request",
        Delivery::Unproven => {
            "the cluster could not open or prove the request; is your certificate from the current operator CA?"
        }
        Delivery::UnknownKey => {
            "the cluster has another sealing key; ask again, with its newest inventory entry"
        }
        Delivery::Full => "the cluster takes no more requests now; it will be tried again",
        Delivery::Lapsed => "the cluster was offline for too long, the request was dropped; ask again",
    }
}

/// Seconds that an online cluster never takes.
const SETTLED: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: &str) -> UnixMillis {
        let (hours, minutes) = clock.split_once(':').unwrap();
        UnixMillis((hours.parse::<i64>().unwrap() * 3600 + minutes.parse::<i64>().unwrap() * 60) * 1000)
    }

    fn asked(notified: Vec<(String, UnixMillis)>) -> News {
        let (since, until) = (at("03:01"), at("04:02"));
        News::Pending(Pending { had: 0, needed: 1, notified, since, until, reason: String::new() })
    }

    fn line(news: &[News]) -> String {
        let mut progress = Progress::new(at("03:02"));
        news.iter().for_each(|news| progress.on(news));
        progress.line(at("03:02").plus(Duration::from_secs(12)))
    }

    #[test]
    fn says_approvals_who_was_told_and_until_when() {
        let notified = vec![("webhook".into(), at("03:02"))];
        let expected = "0 of 1 approvals · customer notified 03:02 UTC · expires 04:02 UTC · 12s";
        assert_eq!(line(&[asked(notified)]), expected);
        let unnotified = "0 of 1 approvals · customer asked 03:01 UTC · expires 04:02 UTC · 12s";
        assert_eq!(line(&[asked(vec![])]), unnotified);
    }

    #[test]
    fn the_brokers_word_is_labeled_and_gives_way_to_the_clusters() {
        let sent = News::BrokerSays(Delivery::Sent);
        assert_eq!(line(std::slice::from_ref(&sent)), "broker says: sent to the cluster · 12s");
        assert!(!line(&[sent, asked(vec![])]).contains("broker"));
        let waiting = || News::BrokerSays(Delivery::Waiting);
        let offline = line(&[asked(vec![]), waiting(), News::Tick, News::Tick]);
        assert!(offline.contains("broker says: cluster offline"), "{offline}");
        assert_eq!(line(&[waiting()]), "broker says: in the mailbox · 12s");
        assert!(line(&[waiting(), News::Tick, News::Tick]).contains("the cluster is offline"));
    }

    #[test]
    fn trouble_shows_until_the_broker_is_back() {
        let lost = News::Reconnecting("refused".into());
        let back = News::BrokerSays(Delivery::Taken);
        assert!(line(&[asked(vec![]), lost.clone()]).contains("out of reach"));
        assert!(!line(&[asked(vec![]), lost, back]).contains("out of reach"));
    }
}
