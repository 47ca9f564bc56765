//! Points in time for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tunnel_protos::UnixMillis;

/// `2026-11-20T13:32:27Z`.
pub fn stamp(time: UnixMillis) -> String {
    humantime::format_rfc3339_seconds(system(time)).to_string()
}

/// `2026-11-20T13:32:27Z (in 14m 3s)`, or `(past)`.
pub fn until(time: UnixMillis, now: UnixMillis) -> String {
    let left = Duration::from_secs(time.since(now).as_secs());
    if left.is_zero() {
        format!("{} (past)", stamp(time))
    } else {
        format!("{} (in {})", stamp(time), humantime::format_duration(left))
    }
}

/// `14m 3s ago`, or `never` for 0.
pub fn ago(time: UnixMillis, now: UnixMillis) -> String {
    match time.0 {
        0 => "never".into(),
        _ => format!("{} ago", humantime::format_duration(Duration::from_secs(now.since(time).as_secs()))),
    }
}

/// Times beyond the year 9999 have no RFC 3339 form and are shown as its end.
fn system(time: UnixMillis) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.seconds()).unwrap_or(0).min(LAST_SECOND))
}

const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_much_is_left() {
        let now = UnixMillis(1_000_000);
        assert_eq!(until(now.plus(Duration::from_secs(843)), now), "1970-01-01T00:30:43Z (in 14m 3s)");
        assert_eq!(until(now, now), "1970-01-01T00:16:40Z (past)");
    }

    #[test]
    fn absurd_times_do_not_panic() {
        assert_eq!(stamp(UnixMillis(i64::MAX)), "9999-12-31T23:59:59Z");
        assert_eq!(stamp(UnixMillis(i64::MIN)), "1970-01-01T00:00:00Z");
    }
}
