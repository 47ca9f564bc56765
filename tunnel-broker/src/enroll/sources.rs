//! How often one source address may ask. Pure, fed with the time; bounded in memory.

use std::{collections::HashMap, net::IpAddr};

use tokio::time::Instant;

use crate::{
    accept::waiting_room::source,
    bucket::{Bucket, Rate},
};

/// The rates of all sources.
#[derive(Debug)]
pub(super) struct Sources {
    rate: Rate,
    buckets: HashMap<IpAddr, Bucket>,
}

impl Sources {
    /// Each source may ask this often in a minute, a minute's worth at once.
    pub(super) fn new(per_minute: u32) -> Self {
        let burst = f64::from(per_minute);
        Self { rate: Rate { per_second: burst / 60.0, burst }, buckets: HashMap::new() }
    }

    /// Counts an ask from `address`; false if its source has none left for now.
    pub(super) fn ask(&mut self, address: IpAddr, now: Instant) -> bool {
        let (rate, source) = (self.rate, source(address));
        if !self.buckets.contains_key(&source) && self.buckets.len() >= MOST {
            // A source that has rested is as one that never came.
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        if !self.buckets.contains_key(&source) && self.buckets.len() >= MOST {
            return false;
        }
        self.buckets.entry(source).or_insert_with(|| Bucket::new(rate, now)).take(rate, now).is_ok()
    }
}

/// 5 MiB.
const MOST: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn a_source_runs_out_and_comes_back_and_others_go_on() {
        let (mut sources, now) = (Sources::new(3), Instant::now());
        assert!((0..3).all(|_| sources.ask(ip(1), now)));
        assert!(!sources.ask(ip(1), now));
        assert!(sources.ask(ip(2), now));
        assert!(sources.ask(ip(1), now + Duration::from_secs(20)));
    }

    #[test]
    fn a_crowd_of_sources_costs_no_more_than_its_bound() {
        let (mut sources, now) = (Sources::new(1), Instant::now());
        let most = u32::try_from(MOST).unwrap();
        assert!((0..most).all(|n| sources.ask(ip(n), now)));
        assert!(!sources.ask(ip(most), now));
        assert!(sources.ask(ip(most), now + Duration::from_secs(61)), "those that rested made room");
        assert_eq!(sources.buckets.len(), 1);
    }
}
