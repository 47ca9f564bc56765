//! Points in time for people.

use std::time::Duration;

use tunnel_protos::{UnixMillis, time::lasting};

/// `2026-11-20T13:32:27Z (in 14m 3s)`, or `(past)`.
pub fn until(time: UnixMillis, now: UnixMillis) -> String {
    let left = Duration::from_secs(time.since(now).as_secs());
    if left.is_zero() { format!("{time} (past)") } else { format!("{time} (in {})", lasting(left)) }
}

/// `03:02 UTC`: approvers may sit elsewhere, so the zone is said; with the date where it is another day than `now`.
pub fn short(time: UnixMillis, now: UnixMillis) -> String {
    let (full, today) = (time.to_string(), now.to_string());
    let clock = full.get(11..16).unwrap_or_default();
    match (full.get(..10), today.get(..10)) {
        (Some(day), Some(today)) if day != today => format!("{} {clock} UTC", &day[5..]),
        _ => format!("{clock} UTC"),
    }
}

/// `03:02:05`, for a line of a log; UTC as everywhere.
pub fn clock(time: UnixMillis) -> String {
    time.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// `14m 3s ago`, or `never` for 0.
pub fn ago(time: UnixMillis, now: UnixMillis) -> String {
    match time.0 {
        0 => "never".into(),
        _ => format!("{} ago", lasting(now.since(time))),
    }
}

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
    fn short_times_name_the_zone_and_another_day() {
        let three = UnixMillis((3 * 3600 + 120) * 1000);
        assert_eq!(short(three, UnixMillis(0)), "03:02 UTC");
        assert_eq!(short(three, three.plus(Duration::from_secs(86_400))), "01-01 03:02 UTC");
    }
}
