//! What is still to be told: the newest state of each request, in the order in which it came. Pure.

use std::collections::{HashMap, VecDeque};

use tunnel_protos::{RequestId, v1::RequestState};

use crate::requests::Glimpse;

#[derive(Debug)]
pub(super) struct Queue {
    events: Vec<RequestState>,
    /// The state of each request that was seen last; of no more requests than there are.
    seen: HashMap<RequestId, RequestState>,
    waiting: VecDeque<(RequestId, RequestState)>,
}

impl Queue {
    /// At a start only those requests wait of which nobody was told before; what ended is history.
    pub(super) fn new(events: &[RequestState], glimpses: &[Glimpse]) -> Self {
        let told = |glimpse: &&Glimpse| glimpse.state != RequestState::Pending || glimpse.told;
        let seen = glimpses.iter().filter(told).map(|glimpse| (glimpse.id, glimpse.state)).collect();
        Self { events: events.to_vec(), seen, waiting: VecDeque::new() }
    }

    /// Takes up what changed since the last look; oldest first, since who waits longest is told first.
    pub(super) fn look(&mut self, glimpses: &[Glimpse]) {
        for Glimpse { id, state, .. } in glimpses {
            if self.seen.get(id) != Some(state) {
                self.enqueue(*id, *state);
            }
        }
        self.seen = glimpses.iter().map(|glimpse| (glimpse.id, glimpse.state)).collect();
    }

    /// Tries this one again after all others, unless something newer waits.
    pub(super) fn again(&mut self, id: RequestId, state: RequestState) {
        if !self.waiting.iter().any(|(known, _)| *known == id) {
            self.waiting.push_back((id, state));
        }
    }

    pub(super) fn pop(&mut self) -> Option<(RequestId, RequestState)> {
        self.waiting.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn enqueue(&mut self, id: RequestId, state: RequestState) {
        self.waiting.retain(|(known, _)| *known != id);
        if self.events.contains(&state) {
            self.waiting.push_back((id, state));
        }
        while self.waiting.len() > MOST {
            self.waiting.pop_front();
        }
    }
}

/// More than people read; the oldest is forgotten first.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn view(id: RequestId, state: RequestState) -> Glimpse {
        Glimpse { id, state, told: false }
    }

    #[test]
    fn each_request_waits_once_with_its_newest_state() {
        let (a, b) = (RequestId::random(), RequestId::random());
        let mut queue = Queue::new(&[RequestState::Pending, RequestState::Revoked], &[]);
        queue.look(&[view(a, RequestState::Pending), view(b, RequestState::Pending)]);
        queue.look(&[view(a, RequestState::Pending), view(b, RequestState::Pending)]);
        queue.look(&[view(a, RequestState::Revoked), view(b, RequestState::Pending)]);
        assert_eq!(
            [queue.pop(), queue.pop(), queue.pop()],
            [Some((b, RequestState::Pending)), Some((a, RequestState::Revoked)), None]
        );
    }

    #[test]
    fn a_state_that_nobody_asked_for_replaces_what_waits() {
        let id = RequestId::random();
        let mut queue = Queue::new(&[RequestState::Pending], &[]);
        queue.look(&[view(id, RequestState::Pending)]);
        queue.look(&[view(id, RequestState::Approved)]);
        assert_eq!(queue.pop(), None, "nobody need be woken any more");
    }

    #[test]
    fn a_start_tells_only_what_nobody_was_told() {
        let (told, new, over) = (RequestId::random(), RequestId::random(), RequestId::random());
        let known = Glimpse { told: true, ..view(told, RequestState::Pending) };
        let views = [known, view(new, RequestState::Pending), view(over, RequestState::Revoked)];
        let mut queue = Queue::new(&[RequestState::Pending, RequestState::Revoked], &views);
        queue.look(&views);
        assert_eq!((queue.pop(), queue.pop()), (Some((new, RequestState::Pending)), None));
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let views: Vec<_> = (0..MOST + 5).map(|_| view(RequestId::random(), RequestState::Pending)).collect();
        let mut queue = Queue::new(&[RequestState::Pending], &[]);
        queue.look(&views);
        assert_eq!(queue.len(), MOST);
        assert_eq!(queue.pop().unwrap().0, views[5].id);
    }
}
