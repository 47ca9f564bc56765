//! The client's time: a wall clock that was set back cannot make anything old look new again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tunnel_protos::UnixMillis;

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
        UnixMillis::from_system(SystemTime::now())
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
