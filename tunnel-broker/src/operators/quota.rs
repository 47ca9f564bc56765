//! How much one operator may use of the API: submissions a minute, watches at a time. Pure; the caller locks it.

use std::collections::HashMap;

use tokio::time::Instant;
use tunnel_protos::OperatorName;

/// Uses of all operators, as many as the operator CA certified.
#[derive(Debug)]
pub(super) struct Quotas {
    submits_per_minute: f64,
    watches: usize,
    used: HashMap<OperatorName, Used>,
}

#[derive(Debug)]
struct Used {
    /// Submissions left, as of `at`.
    left: f64,
    at: Instant,
    watches: usize,
}

impl Quotas {
    /// Nothing is used yet.
    pub(super) fn new(submits_per_minute: u32, watches: usize) -> Self {
        Self { submits_per_minute: submits_per_minute.into(), watches, used: HashMap::new() }
    }

    /// Counts a submission; false if the operator has none left for now.
    pub(super) fn submit(&mut self, operator: &OperatorName, now: Instant) -> bool {
        let most = self.submits_per_minute;
        let used = self.used(operator, now);
        used.left = most.min(used.left + most * (now - used.at).as_secs_f64() / 60.0);
        used.at = now;
        let room = used.left >= 1.0;
        if room {
            used.left -= 1.0;
        }
        room
    }

    /// Counts a watch that begins; false if the operator has as many as may be.
    pub(super) fn watch(&mut self, operator: &OperatorName, now: Instant) -> bool {
        let most = self.watches;
        let used = self.used(operator, now);
        let room = used.watches < most;
        used.watches += usize::from(room);
        room
    }

    /// Counts a watch that ended.
    pub(super) fn unwatch(&mut self, operator: &OperatorName) {
        if let Some(used) = self.used.get_mut(operator) {
            used.watches = used.watches.saturating_sub(1);
        }
    }

    fn used(&mut self, operator: &OperatorName, now: Instant) -> &mut Used {
        let fresh = Used { left: self.submits_per_minute, at: now, watches: 0 };
        self.used.entry(operator.clone()).or_insert(fresh)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn alice() -> OperatorName {
        "alice".parse().unwrap()
    }

    #[test]
    fn submissions_run_out_and_come_back() {
        let (mut quotas, now) = (Quotas::new(6, 1), Instant::now());
        assert!((0..6).all(|_| quotas.submit(&alice(), now)));
        assert!(!quotas.submit(&alice(), now));
        assert!(quotas.submit(&"bob".parse().unwrap(), now));
        assert!(!quotas.submit(&alice(), now + Duration::from_secs(9)));
        assert!(quotas.submit(&alice(), now + Duration::from_secs(20)));
    }

    #[test]
    fn rest_saves_up_no_more_than_a_minute() {
        let (mut quotas, now) = (Quotas::new(2, 1), Instant::now());
        quotas.submit(&alice(), now);
        let later = now + Duration::from_secs(3600);
        assert!(quotas.submit(&alice(), later) && quotas.submit(&alice(), later));
        assert!(!quotas.submit(&alice(), later));
    }

    #[test]
    fn watches_have_a_bound_and_are_given_back() {
        let (mut quotas, now) = (Quotas::new(1, 2), Instant::now());
        assert!(quotas.watch(&alice(), now) && quotas.watch(&alice(), now));
        assert!(!quotas.watch(&alice(), now));
        quotas.unwatch(&alice());
        assert!(quotas.watch(&alice(), now));
    }
}
