//! The clock of this machine against the times in what others signed for us.

use std::time::Duration;

use tunnel_certs::{
    statement::{inventory::Entry, trust_bundle::TrustBundle},
    verify::Summary,
};
use tunnel_protos::{UnixMillis, time::lasting};
use tunnel_runtime::doctor::Finding;

use super::Papers;

/// Something, and a moment before which it cannot have been.
pub(super) type Moment = (&'static str, UnixMillis);

impl Papers {
    /// When each paper began, at the earliest.
    pub(super) fn begins(&self) -> Vec<Moment> {
        let mut begins = Vec::new();
        if let Some(belief) = self.belief() {
            let read = belief.bundle.mesh_roots.certificates().iter().map(|root| Summary::read(root));
            begins.extend(read.flatten().map(|root| ("a mesh root", root.not_before)));
            begins.push(("the trust bundle", belief.bundle.expires.minus(TrustBundle::MAX_LIFE)));
        }
        if let Ok(Some(leaf)) = &self.leaf {
            begins.push(("the mesh certificate", leaf.credential.validity().0));
        }
        if let Ok(Some(opened)) = &self.entry {
            begins.push(("the inventory entry", opened.entry.expires.minus(Entry::MAX_LIFE)));
        }
        if let Ok(Some(access)) = &self.access {
            begins.push(("the access CA", access.not_before));
        }
        begins
    }

    /// When what is renewed all the time ends.
    pub(super) fn ends(&self) -> Vec<UnixMillis> {
        let leaf = self.leaf.as_ref().ok().and_then(Option::as_ref).map(crate::trust::Leaf::not_after);
        leaf.into_iter().chain(self.belief().map(|belief| belief.bundle.expires)).collect()
    }
}

/// What begins in the future shows a clock that is behind; that everything is over may be a clock that is ahead.
pub(super) fn judge(now: UnixMillis, begins: &[Moment], ends: &[UnixMillis]) -> Finding {
    let finding = |seen: String| Finding::good("clock", "this machine's time against our papers", seen);
    let Some((what, begin)) = begins.iter().max_by_key(|(_, begin)| *begin) else {
        return finding(format!("{now}; there is nothing to hold it against"));
    };
    if begin.since(now) > AGREE {
        return finding(format!("{now}, and {what} begins in {}", lasting(begin.since(now)))).bad(BEHIND);
    }
    if ends.len() > 1 && ends.iter().all(|end| *end < now) {
        return finding(format!("{now}, and everything is over")).doubtful(AHEAD);
    }
    finding(format!("{now}, after all of them began"))
}

/// Makers of papers take an hour off for clocks that differ, or a minute at least.
const AGREE: Duration = Duration::from_secs(60);
const BEHIND: &str = "the clock is behind: set it (NTP); certificates count for as long as it says";
const AHEAD: &str = "if this client ran lately, the clock may be ahead: set it (NTP)";

#[cfg(test)]
mod tests {
    use tunnel_runtime::doctor::Verdict;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn what_begins_in_the_future_shows_a_clock_that_is_behind() {
        let judged = |begin| judge(NOW, &[("a root", NOW.minus(HOUR)), ("the leaf", begin)], &[]);
        assert_eq!(judged(NOW.minus(HOUR)).verdict, Verdict::Good);
        let behind = judged(NOW.plus(HOUR));
        assert_eq!(behind.verdict, Verdict::Bad);
        assert!(behind.seen.contains("the leaf begins in 1h"), "{behind:?}");
    }

    #[test]
    fn one_thing_that_is_over_is_no_clock_and_everything_may_be() {
        let begins = [("a root", NOW.minus(HOUR))];
        let (over, good) = (NOW.minus(HOUR), NOW.plus(HOUR));
        assert_eq!(judge(NOW, &begins, &[over, good]).verdict, Verdict::Good);
        assert_eq!(judge(NOW, &begins, &[over]).verdict, Verdict::Good);
        assert_eq!(judge(NOW, &begins, &[over, over]).verdict, Verdict::Doubtful);
        assert_eq!(judge(NOW, &[], &[]).verdict, Verdict::Good);
    }
}
