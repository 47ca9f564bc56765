//! Points in time as messages carry them. No clock here: callers pass now.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The time of a system clock; before 1970 counts as 1970.
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Later by `by`, saturating.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Earlier by `by`, saturating.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Time from `earlier` until this; zero if this is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As it is displayed, with milliseconds.
    pub fn precise(self) -> String {
        humantime::format_rfc3339_millis(self.system()).to_string()
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same for the standard library, within the years that RFC 3339 can write.
    pub fn system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0).min(LAST_MILLISECOND))
    }
}

/// `2026-11-20T13:32:27Z`; what has no such form is shown as the nearest that has.
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(self.system()).fmt(f)
    }
}

impl fmt::Debug for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

/// `12s`, `3m 5s`, `2h 4m`, `89d 3h`: whole seconds, and the two largest units; more is noise to a person. The longest
/// unit is the day: nobody counts months of 30.44 days.
pub fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, rest) = (seconds / DAY, seconds % DAY);
    let rest = humantime::format_duration(Duration::from_secs(rest)).to_string();
    let units: Vec<_> = match days {
        0 => rest.split(' ').take(2).collect(),
        _ => rest.split(' ').filter(|unit| unit.ends_with('h')).take(1).collect(),
    };
    match days {
        0 => units.join(" "),
        days => [format!("{days}d").as_str()].into_iter().chain(units).collect::<Vec<_>>().join(" "),
    }
}

/// Seconds of a day.
const DAY: u64 = 24 * 3600;
/// The year 9999 ends with it; RFC 3339 has four digits for years.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_times_have_a_text_too() {
        assert_eq!(UnixMillis(1_000_999).to_string(), "1970-01-01T00:16:40Z");
        assert_eq!(UnixMillis(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(UnixMillis(i64::MIN).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixMillis(i64::MAX).precise(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn people_read_two_units() {
        assert_eq!(lasting(Duration::from_millis(7_384_500)), "2h 3m");
        assert_eq!(lasting(Duration::from_millis(999)), "0s");
        assert_eq!(lasting(Duration::from_secs(89 * DAY + 3 * 3600 + 7)), "89d 3h");
        assert_eq!(lasting(Duration::from_secs(365 * DAY + 59)), "365d");
        assert_eq!(lasting(Duration::from_secs(DAY)), "1d");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(UnixMillis(i64::MAX).plus(Duration::MAX), UnixMillis(i64::MAX));
        assert_eq!(UnixMillis(i64::MIN).minus(Duration::MAX), UnixMillis(i64::MIN));
        assert_eq!(UnixMillis(5).since(UnixMillis(9)), Duration::ZERO);
        assert_eq!(UnixMillis(1500).since(UnixMillis(500)), Duration::from_secs(1));
        assert_eq!(UnixMillis(-1).seconds(), -1);
    }
}
