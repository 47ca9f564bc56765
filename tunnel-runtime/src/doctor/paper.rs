//! Papers that end: certificates, signed statements.

use std::time::{Duration, SystemTime};

use super::Finding;

/// Something with an end.
#[derive(Debug)]
pub struct Paper<'p> {
    /// As [`Finding::check`].
    pub check: &'static str,
    /// As [`Finding::tried`].
    pub tried: &'p str,
    /// What it is and whose.
    pub what: String,
    /// When it ends.
    pub end: SystemTime,
    /// Less time than this is worth a word.
    pub soon: Duration,
    /// What to do about its end.
    pub mend: &'static str,
}

impl Paper<'_> {
    /// Bad once it is over, doubtful if it soon is; `lasting` writes a time for people.
    pub fn judge(self, now: SystemTime, lasting: impl Fn(Duration) -> String) -> Finding {
        let Self { check, tried, what, end, soon, mend } = self;
        let finding = |how: String| Finding::good(check, tried, format!("{what}, {how}"));
        let shown = humantime::format_rfc3339_seconds(end);
        match end.duration_since(now) {
            Ok(left) if !left.is_zero() => {
                let finding = finding(format!("until {shown} (in {})", lasting(left)));
                if left < soon { finding.doubtful(mend) } else { finding }
            }
            _ => {
                let ago = now.duration_since(end).unwrap_or_default();
                finding(format!("over since {shown} ({} ago)", lasting(ago))).bad(mend)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn what_ends_soon_is_worth_a_word_and_what_is_over_is_bad() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let judged = |end: SystemTime| {
            let (what, soon) = ("bundle 3".to_owned(), Duration::from_secs(60));
            let paper = Paper { check: "bundle", tried: "a file", what, end, soon, mend: "make another" };
            paper.judge(now, |time| format!("{} s", time.as_secs()))
        };
        let good = judged(now + Duration::from_secs(60));
        assert_eq!(
            (good.verdict, &*good.seen),
            (Verdict::Good, "bundle 3, until 1970-01-12T13:47:40Z (in 60 s)")
        );
        assert_eq!(judged(now + Duration::from_secs(59)).verdict, Verdict::Doubtful);
        let over = judged(now);
        assert_eq!((over.verdict, &*over.advice), (Verdict::Bad, "make another"));
        assert!(judged(now - Duration::from_secs(5)).seen.ends_with("(5 s ago)"));
    }
}
