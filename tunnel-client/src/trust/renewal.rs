//! When to ask for another mesh certificate, and how often. Pure but for the clock of its own pauses.

use std::time::Duration;

use tokio::time::Instant;
use tunnel_certs::{crypto, renew};
use tunnel_protos::UnixMillis;
use tunnel_transport::backoff::Backoff;

use super::{Belief, Fingerprint, Leaf};

/// How hastily certificates are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The first pause between two asks; they grow from there.
    pub first: Duration,
    /// Longest pause between two asks.
    pub longest: Duration,
    /// Thousands of replicas that are told to renew at once spread over this.
    pub jitter: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // An answer takes a broker milliseconds; who does not answer has a reason.
            first: Duration::from_secs(5),
            longest: Duration::from_secs(600),
            // A tenth of a minute.
            jitter: Duration::from_secs(6),
        }
    }
}

/// One certificate's way to the next.
#[derive(Debug)]
pub(super) struct Renewal {
    pace: Pace,
    /// None without a certificate, which enrollment brings.
    due: Option<UnixMillis>,
    not_after: UnixMillis,
    /// The root that is to have signed the next one.
    wanted: Option<Fingerprint>,
    /// Rises with each ask.
    asked: u64,
    since: Option<UnixMillis>,
    next: Instant,
    backoff: Option<Backoff>,
    refused: String,
}

impl Renewal {
    pub(super) fn of(leaf: Option<&Leaf>, pace: &Pace) -> Self {
        let mut renewal = Self {
            pace: *pace,
            due: None,
            not_after: UnixMillis(0),
            wanted: None,
            asked: 0,
            since: None,
            next: Instant::now(),
            backoff: None,
            refused: String::new(),
        };
        renewal.renewed(leaf);
        renewal
    }

    /// Another certificate is in force.
    pub(super) fn renewed(&mut self, leaf: Option<&Leaf>) {
        self.due = leaf.map(|leaf| renew::due(issued(leaf), leaf.not_after(), random()));
        self.not_after = leaf.map_or(UnixMillis(0), Leaf::not_after);
        (self.wanted, self.since, self.backoff) = (None, None, None);
        self.refused.clear();
        // A broker that hands out certificates of a moment must not keep disk and tunnels busy.
        self.next = Instant::now() + self.pace.first;
    }

    /// A certificate under `root` is wanted soon.
    pub(super) fn rotate(&mut self, root: Fingerprint) {
        if self.wanted == Some(root) || self.due.is_none() {
            return;
        }
        self.wanted = Some(root);
        let share = (u128::from(random()) * self.pace.jitter.as_nanos()) >> 64;
        let soon = Instant::now() + Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX));
        // However often somebody changes its mind, the least pause holds.
        self.next = self.next.max(soon);
    }

    /// No other root is wanted than that of the certificate in force.
    pub(super) fn stay(&mut self) {
        if self.wanted.take().is_some() {
            (self.since, self.backoff) = (None, None);
            self.refused.clear();
        }
    }

    /// Until there is something to do, but never long: the wall clock may be set meanwhile.
    pub(super) fn pause(&self, now: UnixMillis) -> Duration {
        let Some(due) = self.due else { return LONGEST_LOOK };
        let due = if self.wanted.is_some() { Duration::ZERO } else { due.since(now) };
        due.max(self.next.saturating_duration_since(Instant::now())).min(LONGEST_LOOK)
    }

    /// Asks once more, if it is time; says what is wrong once asking takes long.
    pub(super) fn ask(&mut self, now: UnixMillis) -> Option<String> {
        if self.pause(now) > Duration::ZERO {
            return None;
        }
        self.asked += 1;
        self.since.get_or_insert(now);
        let left = self.not_after.since(now) / 4;
        let (first, longest) = (self.pace.first, self.pace.longest.min(left));
        if self.backoff.is_none() {
            self.backoff = Backoff::new(first, self.pace.longest.max(first)).ok();
        }
        let pause = self.backoff.as_mut().map_or(first, |backoff| backoff.next_delay(random()));
        // Full jitter may come close to none; and the nearer the end, the more often.
        self.next = Instant::now() + pause.min(longest).max(first / 2);
        // The first asks may meet a tunnel that is being replaced.
        (self.asked_often()).then(|| self.problem(now)).flatten()
    }

    fn asked_often(&self) -> bool {
        self.backoff.as_ref().is_some_and(|backoff| backoff.bound() >= self.pace.first * 8)
    }

    /// A broker's certificate was not taken.
    pub(super) fn refused(&mut self, why: String) {
        self.refused = why;
    }

    /// Whether a certificate that comes was asked for.
    pub(super) fn is_asking(&self) -> bool {
        self.since.is_some()
    }

    /// The number of the ask under way.
    pub(super) fn asking(&self) -> Option<u64> {
        self.since.map(|_| self.asked)
    }

    /// Whether `leaf` is worth the change: it ends later, or is under the root that is wanted.
    pub(super) fn is_better(&self, leaf: &Leaf, belief: &Belief) -> bool {
        let Some(current) = &belief.leaf else { return true };
        let now = crate::clock::wall();
        // A broker must not trade a certificate that lasts for one of a moment.
        let lasts = leaf.not_after().since(now) >= (current.not_after().since(now) / 2).min(LEAST_LIFE);
        let rotated = lasts && self.wanted.is_some_and(|wanted| belief.issuer(leaf) == Some(wanted));
        let due = self.wanted.is_none() || self.due.is_some_and(|due| due <= now);
        rotated || (due && leaf.not_after() > current.not_after())
    }

    /// What is wrong for people: brokers were asked and did not answer with a good certificate.
    pub(super) fn problem(&self, now: UnixMillis) -> Option<String> {
        let since = self.since.filter(|since| self.asked_often() || now.since(*since) > self.pace.longest)?;
        let left = self.not_after.since(now);
        let ends =
            if left.is_zero() { "has ended".to_owned() } else { format!("ends at {}", self.not_after) };
        let refused =
            if self.refused.is_empty() { "no broker answers".to_owned() } else { self.refused.clone() };
        Some(format!(
            "the mesh certificate {ends}, and asking for another since {since} was in vain: {refused}"
        ))
    }
}

/// Certificates begin a minute before they are issued.
fn issued(leaf: &Leaf) -> UnixMillis {
    let (begin, end) = leaf.credential.validity();
    let issued = begin.plus(BACKDATED);
    if issued < end { issued } else { begin }
}

fn random() -> u64 {
    u64::from_ne_bytes(crypto::random())
}

/// As issuing authorities do, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(60);
/// Enough for the next renewal.
const LEAST_LIFE: Duration = Duration::from_secs(3600);
/// Set clocks are seen within a minute.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        trust::testing::{PACE, Stage},
    };

    #[tokio::test(start_paused = true)]
    async fn a_root_that_was_wanted_is_not_after_a_rollback_and_no_change_of_mind_hastens_anything() {
        let living = Stage::new().open();
        let belief = living.trust.belief().borrow().clone();
        let now = clock::wall();
        let mut renewal = Renewal::of(belief.leaf.as_ref(), &PACE);
        let due = renewal.pause(now).min(PACE.first);
        for seed in 0..4 {
            renewal.rotate(Fingerprint::of(&[seed]));
            assert!(renewal.pause(now) >= due);
        }
        tokio::time::advance(PACE.first).await;
        assert!(renewal.pause(now).is_zero() && renewal.ask(now).is_none());
        assert!(renewal.is_asking());
        renewal.stay();
        assert!(!renewal.is_asking() && renewal.pause(now) > PACE.longest, "nothing is due");
    }
}
