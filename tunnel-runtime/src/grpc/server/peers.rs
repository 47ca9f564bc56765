//! What each local user holds of a server: one that takes all it can get leaves the rest to the others.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::super::{GrpcLimits, Share};

/// Counts connections by user id; clones share the counts.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    connections: usize,
    requests: usize,
    here: Arc<Mutex<HashMap<u32, Held>>>,
}

#[derive(Debug)]
struct Held {
    connections: usize,
    requests: Share,
}

/// A user's connection; dropping it ends the count.
#[derive(Debug)]
pub(super) struct Place {
    uid: u32,
    share: Share,
    peers: Peers,
}

impl Peers {
    /// A quarter of everything for each: a person needs a few, and no one user can shut the others out.
    pub(super) fn new(limits: &GrpcLimits) -> Self {
        let quarter = |most: usize| most.div_ceil(4);
        let (connections, requests) = (quarter(limits.connections), quarter(limits.requests));
        Self { connections, requests, here: Arc::default() }
    }

    /// A place for one more connection of `uid`, unless it has its share.
    pub(super) fn enter(&self, uid: u32) -> Option<Place> {
        let mut here = self.here.lock();
        let new = || Held { connections: 0, requests: Share::new(self.requests) };
        let held = here.entry(uid).or_insert_with(new);
        if held.connections >= self.connections {
            return None;
        }
        held.connections += 1;
        Some(Place { uid, share: held.requests.clone(), peers: self.clone() })
    }
}

impl Place {
    /// The user's share of the requests at a time, over all its connections.
    pub(super) fn share(&self) -> Share {
        self.share.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut here = self.peers.here.lock();
        if let Some(held) = here.get_mut(&self.uid) {
            held.connections -= 1;
            if held.connections == 0 {
                here.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_user_has_a_quarter_and_nothing_stays_behind() {
        let peers = Peers::new(&GrpcLimits { connections: 8, requests: 8, deadline: Duration::ZERO });
        let (first, _second) = (peers.enter(1001).unwrap(), peers.enter(1001).unwrap());
        assert!(peers.enter(1001).is_none());
        assert!(peers.enter(1002).is_some());
        drop(first);
        assert!(peers.enter(1001).is_some());
        assert_eq!(peers.here.lock().keys().collect::<Vec<_>>(), [&1001]);
    }
}
