//! How much one operator may use of the API at a time and a minute. Pure; the caller locks it.

use std::collections::HashMap;

use tokio::time::Instant;
use tunnel_protos::OperatorName;
use tunnel_runtime::grpc::Share;

use crate::{
    bucket::{Bucket, Rate},
    config::OperatorLimits,
};

/// Uses of all operators, as many as the operator CA certified.
#[derive(Debug)]
pub(super) struct Quotas {
    most: OperatorLimits,
    used: HashMap<OperatorName, Used>,
}

/// Something of which an operator has a number at a time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A connection.
    Connection,
    /// A watch.
    Watch,
}

#[derive(Debug)]
struct Used {
    submits: Bucket,
    requests: Share,
    connections: usize,
    watches: usize,
}

impl Quotas {
    /// Nothing is used yet.
    pub(super) fn new(most: OperatorLimits) -> Self {
        Self { most, used: HashMap::new() }
    }

    /// Counts a submission; false if the operator has none left for now.
    pub(super) fn submit(&mut self, operator: &OperatorName, now: Instant) -> bool {
        let rate = submits(&self.most);
        self.used(operator, now).submits.take(rate, now).is_ok()
    }

    /// Takes a place; false if the operator has as many as may be.
    pub(super) fn enter(&mut self, operator: &OperatorName, place: Place, now: Instant) -> bool {
        let most = match place {
            Place::Connection => self.most.connections_per_operator,
            Place::Watch => self.most.watches,
        };
        let taken = self.used(operator, now).places(place);
        let room = *taken < most;
        *taken += usize::from(room);
        room
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self, operator: &OperatorName, place: Place) {
        if let Some(used) = self.used.get_mut(operator) {
            let taken = used.places(place);
            *taken = taken.saturating_sub(1);
        }
    }

    /// The operator's share of requests at a time, over all its connections.
    pub(super) fn share(&mut self, operator: &OperatorName, now: Instant) -> Share {
        self.used(operator, now).requests.clone()
    }

    fn used(&mut self, operator: &OperatorName, now: Instant) -> &mut Used {
        let most = &self.most;
        self.used.entry(operator.clone()).or_insert_with(|| Used {
            submits: Bucket::new(submits(most), now),
            requests: Share::new(most.requests_per_operator),
            connections: 0,
            watches: 0,
        })
    }
}

impl Used {
    fn places(&mut self, place: Place) -> &mut usize {
        match place {
            Place::Connection => &mut self.connections,
            Place::Watch => &mut self.watches,
        }
    }
}

/// A minute's worth at once.
fn submits(most: &OperatorLimits) -> Rate {
    let a_minute = f64::from(most.submits_per_minute);
    Rate { per_second: a_minute / 60.0, burst: a_minute }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quotas(change: impl FnOnce(&mut OperatorLimits)) -> (Quotas, Instant) {
        let mut most = OperatorLimits::default();
        change(&mut most);
        (Quotas::new(most), Instant::now())
    }

    fn alice() -> OperatorName {
        "alice".parse().unwrap()
    }

    fn bob() -> OperatorName {
        "bob".parse().unwrap()
    }

    #[test]
    fn submissions_run_out_and_come_back() {
        let (mut quotas, now) = quotas(|most| most.submits_per_minute = 6);
        assert!((0..6).all(|_| quotas.submit(&alice(), now)));
        assert!(!quotas.submit(&alice(), now));
        assert!(quotas.submit(&bob(), now));
        assert!(!quotas.submit(&alice(), now + Duration::from_secs(9)));
        assert!(quotas.submit(&alice(), now + Duration::from_secs(20)));
    }

    #[test]
    fn places_have_a_bound_per_operator_and_are_given_back() {
        for place in [Place::Connection, Place::Watch] {
            let (mut quotas, now) = quotas(|most| (most.connections_per_operator, most.watches) = (2, 2));
            assert!(quotas.enter(&alice(), place, now) && quotas.enter(&alice(), place, now));
            assert!(!quotas.enter(&alice(), place, now));
            assert!(quotas.enter(&bob(), place, now));
            quotas.leave(&alice(), place);
            assert!(quotas.enter(&alice(), place, now));
        }
    }
}
