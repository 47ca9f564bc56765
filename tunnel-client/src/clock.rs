//! The only reading of the time: a wall clock that was set back cannot make anything old look new again.
//!
//! Whatever opens or ends something for an operator goes by [`Clock`]; [`wall`] is for what only people read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tunnel_protos::UnixMillis;

/// The wall's time, for what opens nothing: texts, and the ends of other people's certificates.
pub fn wall() -> UnixMillis {
    UnixMillis::from_system(SystemTime::now())
}

/// Tells the wall's time; tests pass their own.
pub trait Wall: Send + Sync + 'static {
    /// The wall's time.
    fn now(&self) -> UnixMillis;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemWall;

impl Wall for SystemWall {
    fn now(&self) -> UnixMillis {
        wall()
    }
}

/// Now = the later of the wall clock and the highest time ever stored minus a tolerance.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Wall>,
    highest: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that begins where the store left off.
    pub fn new(wall: impl Wall, time_seen: UnixMillis) -> Self {
        Self { wall: Arc::new(wall), highest: Arc::new(AtomicI64::new(time_seen.0)) }
    }

    /// Now.
    pub fn now(&self) -> UnixMillis {
        let floor = UnixMillis(self.highest.load(Ordering::Relaxed)).minus(TOLERANCE);
        self.wall.now().max(floor)
    }

    /// The highest time ever stored, if it may be set back to `to`: not before the wall clock, and only back.
    pub fn check_reset(&self, to: UnixMillis) -> Option<UnixMillis> {
        let highest = UnixMillis(self.highest.load(Ordering::Relaxed));
        (to < highest && to.plus(TOLERANCE) >= self.wall.now()).then_some(highest)
    }

    /// Now, once it is set back to `to`.
    pub fn after_reset(&self, to: UnixMillis) -> UnixMillis {
        self.wall.now().max(to.minus(TOLERANCE))
    }

    /// The highest time stored is `to` from now on.
    pub(crate) fn reset(&self, to: UnixMillis) {
        self.highest.store(to.0, Ordering::Relaxed);
    }

    /// `time` was stored.
    pub fn stored(&self, time: UnixMillis) {
        self.highest.fetch_max(time.0, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

/// Honest clocks are corrected by less than this.
const TOLERANCE: Duration = Duration::from_secs(2 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(i64);

    impl Wall for Fixed {
        fn now(&self) -> UnixMillis {
            UnixMillis(self.0)
        }
    }

    #[test]
    fn now_is_never_before_what_was_stored_minus_two_minutes() {
        let clock = Clock::new(Fixed(1_000_000), UnixMillis(500_000));
        assert_eq!(clock.now(), UnixMillis(1_000_000));
        clock.stored(UnixMillis(5_000_000));
        assert_eq!(clock.now(), UnixMillis(5_000_000).minus(TOLERANCE));
        clock.stored(UnixMillis(1));
        assert_eq!(clock.now(), UnixMillis(5_000_000).minus(TOLERANCE));
    }
}
