//! When to probe a tunnel, and when it is dead: two probes missed in a row. Pure; the caller has clock and dice.

use std::time::Duration;

use tokio::time::Instant;

/// Bytes of a probe's nonce.
pub(crate) const NONCE: usize = 16;

/// What to do now that a probe is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send one with the nonce given.
    Send,
    /// Give the tunnel up.
    Dead,
}

/// The probes of one tunnel.
#[derive(Debug)]
pub(crate) struct Prober {
    interval: Duration,
    due: Instant,
    missed: u32,
    open: Option<([u8; NONCE], Instant)>,
}

impl Prober {
    /// The first probe is due at once.
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, due: now, missed: 0, open: None }
    }

    /// When [`Prober::fire`] is to be called.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Counts the probe before as missed if it is unanswered; `jitter` of 0 to 255 spreads the next one by ± 10 %.
    pub(crate) fn fire(&mut self, now: Instant, nonce: [u8; NONCE], jitter: u8) -> Due {
        if self.open.is_some() {
            self.missed += 1;
            if self.missed >= MISSES {
                return Due::Dead;
            }
        }
        self.open = Some((nonce, now));
        self.due = now + self.interval.mul_f64(0.9 + 0.2 * f64::from(jitter) / 255.0);
        Due::Send
    }

    /// Takes an answer; gives the round trip if it answers the open probe, none if it is late or made up.
    pub(crate) fn answered(&mut self, nonce: &[u8], now: Instant) -> Option<Duration> {
        let (_, sent) = self.open.take_if(|(open, _)| open == nonce)?;
        self.missed = 0;
        Some(now - sent)
    }
}

/// One lost packet burst must not end a tunnel; two intervals of silence do.
const MISSES: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn the_first_probe_is_due_at_attach() {
        let now = Instant::now();
        let mut prober = Prober::new(INTERVAL, now);
        assert_eq!(prober.due(), now);
        assert_eq!(prober.fire(now, [1; NONCE], 128), Due::Send);
        assert_eq!(
            prober.answered(&[1; NONCE], now + Duration::from_millis(3)),
            Some(Duration::from_millis(3))
        );
    }

    #[test]
    fn two_missed_in_a_row_are_the_end() {
        let now = Instant::now();
        let mut prober = Prober::new(INTERVAL, now);
        assert_eq!(prober.fire(now, [1; NONCE], 0), Due::Send);
        assert_eq!(prober.fire(prober.due(), [2; NONCE], 0), Due::Send);
        assert_eq!(prober.fire(prober.due(), [3; NONCE], 0), Due::Dead);
    }

    #[test]
    fn one_missed_is_forgiven() {
        let now = Instant::now();
        let mut prober = Prober::new(INTERVAL, now);
        for n in 0..20 {
            assert_eq!(prober.fire(prober.due(), [n; NONCE], 0), Due::Send, "{n}");
            if n % 2 == 1 {
                assert!(prober.answered(&[n; NONCE], prober.due()).is_some());
            }
        }
    }

    #[test]
    fn late_and_made_up_answers_do_not_count() {
        let now = Instant::now();
        let mut prober = Prober::new(INTERVAL, now);
        prober.fire(now, [1; NONCE], 0);
        prober.fire(prober.due(), [2; NONCE], 0);
        assert_eq!(prober.answered(&[1; NONCE], now), None);
        assert_eq!(prober.answered(&[9; NONCE], now), None);
        assert_eq!(prober.answered(b"", now), None);
        assert_eq!(prober.fire(prober.due(), [3; NONCE], 0), Due::Dead);
    }

    #[test]
    fn jitter_is_a_tenth() {
        let now = Instant::now();
        for (jitter, wanted) in [(0, 9.0), (255, 11.0)] {
            let mut prober = Prober::new(INTERVAL, now);
            prober.fire(now, [1; NONCE], jitter);
            assert!(((prober.due() - now).as_secs_f64() - wanted).abs() < 0.01);
        }
    }
}
