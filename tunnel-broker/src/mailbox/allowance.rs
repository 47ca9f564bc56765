//! How much each cluster may make the broker write. All of a cluster's replicas share one bucket, which outlives
//! their tunnels: neither many replicas nor a reconnect gives more. Pure; the caller locks it.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use tunnel_protos::Label;

use crate::bucket::{Bucket, Rate};

/// What is left for each cluster, as many as the mesh CA certified.
#[derive(Debug)]
pub(super) struct Allowances {
    rate: Rate,
    buckets: HashMap<Label, Bucket>,
}

impl Allowances {
    /// `per_second` in the long run, ten times as much at once: a revocation of everything answers many requests.
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { rate: Rate { per_second, burst: 10.0 * per_second }, buckets: HashMap::new() }
    }

    /// Takes one write of `label`, or says how long there will be none.
    pub(super) fn take(&mut self, label: Label, now: Instant) -> Result<(), Duration> {
        let rate = self.rate;
        self.buckets.entry(label).or_insert_with(|| Bucket::new(rate, now)).take(rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clusters_flood_leaves_the_others_theirs() {
        let (mut allowances, now) = (Allowances::new(2), Instant::now());
        let (greedy, other) = ("k3v7aaaaaa".parse().unwrap(), "k3v7bbbbbb".parse().unwrap());
        assert_eq!((0..100).filter(|_| allowances.take(greedy, now).is_ok()).count(), 20);
        assert!(allowances.take(other, now).is_ok());
        assert!(allowances.take(greedy, now + Duration::from_millis(500)).is_ok());
    }
}
