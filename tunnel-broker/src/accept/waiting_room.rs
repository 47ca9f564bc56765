//! Caps in all and per source on whoever has proven nothing yet: connections that have not said where they go, and
//! sessions in their first phase.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

/// Counts connections; clones share the counts.
#[derive(Debug, Clone)]
pub(crate) struct WaitingRoom {
    seats: usize,
    seats_per_source: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// A seat; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Seat {
    source: IpAddr,
    taken: Arc<Mutex<Taken>>,
}

impl WaitingRoom {
    /// An empty room.
    pub(crate) fn new(seats: usize, seats_per_source: usize) -> Self {
        Self { seats, seats_per_source, taken: Arc::default() }
    }

    /// A seat for a connection from `address`, or none if the room or its source's share is full.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Seat> {
        let source = source(address);
        let mut taken = self.taken.lock();
        let here = taken.by_source.get(&source).copied().unwrap_or_default();
        if taken.all >= self.seats || here >= self.seats_per_source {
            return None;
        }
        taken.all += 1;
        taken.by_source.insert(source, here + 1);
        Some(Seat { source, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.all -= 1;
        let here = taken.by_source.get(&self.source).map_or(0, |count| count - 1);
        match here {
            0 => taken.by_source.remove(&self.source),
            _ => taken.by_source.insert(self.source, here),
        };
    }
}

/// One customer of an IPv6 network has a /64 at least, so its lower half says nothing.
pub(crate) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let room = WaitingRoom::new(3, 2);
        let _seats = (room.enter(ip("192.0.2.1")).unwrap(), room.enter(ip("::ffff:192.0.2.1")).unwrap());
        assert!(room.enter(ip("192.0.2.1")).is_none());
        assert!(room.enter(ip("192.0.2.2")).is_some());
    }

    #[test]
    fn the_room_has_an_end() {
        let room = WaitingRoom::new(2, 2);
        let first = room.enter(ip("192.0.2.1"));
        let _second = room.enter(ip("192.0.2.2"));
        assert!(room.enter(ip("192.0.2.3")).is_none());
        drop(first);
        assert!(room.enter(ip("192.0.2.3")).is_some());
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let room = WaitingRoom::new(9, 1);
        let _seat = room.enter(ip("2001:db8:1:2::1"));
        assert!(room.enter(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(room.enter(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn nothing_stays_behind() {
        let room = WaitingRoom::new(9, 9);
        drop((room.enter(ip("192.0.2.1")), room.enter(ip("192.0.2.1"))));
        let taken = room.taken.lock();
        assert_eq!((taken.all, taken.by_source.len()), (0, 0));
    }
}
