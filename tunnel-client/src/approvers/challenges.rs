//! Challenges that were handed out: each is accepted once, and for a short time.
//!
//! Time here is the machine's monotonic one, because challenges serve where the wall clock is what is wrong.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tunnel_certs::crypto;
use tunnel_protos::Challenge;

#[derive(Debug, Default)]
pub(super) struct Challenges(Mutex<VecDeque<(Challenge, Instant)>>);

impl Challenges {
    /// A new challenge, accepted for [`LIFE`]; the oldest gives way when there are too many.
    pub(super) fn draw(&self) -> Challenge {
        let challenge = Challenge::new(crypto::random());
        let mut open = self.0.lock();
        if open.len() == MOST {
            open.pop_front();
        }
        open.push_back((challenge, Instant::now() + LIFE));
        challenge
    }

    /// Accepts a challenge, which is used up by that.
    pub(super) fn take(&self, challenge: &Challenge) -> Result<(), NotOpen> {
        let mut open = self.0.lock();
        let at = open.iter().position(|(known, _)| known == challenge).ok_or(NotOpen)?;
        let (_, until) = open.remove(at).ok_or(NotOpen)?;
        if Instant::now() <= until { Ok(()) } else { Err(NotOpen) }
    }
}

/// Not ours, used already, or too old.
#[derive(Debug, thiserror::Error)]
#[error("the challenge was used already or is too old; run the command again")]
pub(super) struct NotOpen;

/// Long enough to carry it to a key on another machine and back.
pub(super) const LIFE: Duration = Duration::from_secs(5 * 60);
/// A handful of people use them; more is a mistake.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_challenge_is_accepted_once_and_not_for_long() {
        let challenges = Challenges::default();
        let (first, second) = (challenges.draw(), challenges.draw());
        assert!(challenges.take(&first).is_ok());
        assert!(challenges.take(&first).is_err(), "used up");
        tokio::time::advance(LIFE + Duration::from_millis(1)).await;
        assert!(challenges.take(&second).is_err(), "too old");
        assert!(challenges.take(&Challenge::new([0; 32])).is_err(), "never handed out");
    }

    #[tokio::test(start_paused = true)]
    async fn challenges_are_bounded() {
        let challenges = Challenges::default();
        let first = challenges.draw();
        for _ in 0..MOST {
            challenges.draw();
        }
        assert!(challenges.take(&first).is_err());
        assert_eq!(challenges.0.lock().len(), MOST);
    }
}
