//! How long a gate has held without a break. Pure: looks come in with their time.

use std::time::Duration;

use tokio::time::Instant;
use tunnel_protos::{operations::v1::Gate, time::lasting};

/// Watches one gate.
#[derive(Debug)]
pub(super) struct Soak {
    soak: Duration,
    within: Duration,
    deadline: Instant,
    since: Option<Instant>,
    last: String,
}

impl Soak {
    /// Begins now.
    pub(super) fn new(gate: &Gate, now: Instant) -> Self {
        let within = Duration::from_millis(gate.deadline_ms).min(LONGEST);
        Self {
            soak: Duration::from_millis(gate.soak_ms),
            deadline: now + within,
            since: None,
            last: "It did not hold for long enough".to_owned(),
            within,
        }
    }

    /// One look: how the gate ends, if it does.
    pub(super) fn looked(&mut self, seen: Result<(), String>, now: Instant) -> Option<Result<(), String>> {
        match seen {
            Ok(()) => {
                let since = *self.since.get_or_insert(now);
                if now.duration_since(since) >= self.soak {
                    return Some(Ok(()));
                }
            }
            Err(why) => (self.since, self.last) = (None, why),
        }
        let late = now >= self.deadline;
        late.then(|| Err(format!("Not well within {}: {}", lasting(self.within), self.last)))
    }
}

/// Whatever a plan says, nobody waits longer for one node.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn soak(soak_s: u64, deadline_s: u64, now: Instant) -> Soak {
        let gate = Gate { title: String::new(), soak_ms: soak_s * 1000, deadline_ms: deadline_s * 1000 };
        Soak::new(&gate, now)
    }

    #[tokio::test(start_paused = true)]
    async fn holds_only_after_its_time_without_a_break() {
        let start = Instant::now();
        let mut watch = soak(3, 60, start);
        let bad = || Err("n1 is not ready".to_owned());
        assert_eq!(watch.looked(bad(), start), None);
        assert_eq!(watch.looked(Ok(()), start + SECOND), None);
        assert_eq!(watch.looked(Ok(()), start + 3 * SECOND), None);
        assert_eq!(watch.looked(bad(), start + 4 * SECOND), None);
        assert_eq!(watch.looked(Ok(()), start + 5 * SECOND), None);
        assert_eq!(watch.looked(Ok(()), start + 7 * SECOND), None);
        assert_eq!(watch.looked(Ok(()), start + 8 * SECOND), Some(Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_flaps_for_ever_ends_at_the_deadline_and_says_why() {
        let start = Instant::now();
        let mut watch = soak(3, 10, start);
        let looks = (0..).map(|n| if n % 2 == 0 { Ok(()) } else { Err("n1 is not ready".to_owned()) });
        let ended = looks.zip(0..).find_map(|(look, second)| watch.looked(look, start + second * SECOND));
        assert_eq!(ended, Some(Err("Not well within 10s: n1 is not ready".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_time_to_soak_one_good_look_is_enough() {
        let start = Instant::now();
        assert_eq!(soak(0, 10, start).looked(Ok(()), start), Some(Ok(())));
    }
}
