//! What is still to be told: the newest state of each request, in the order in which it came. Pure.

use std::collections::{HashMap, VecDeque};

use tunnel_protos::{RequestId, approvers::RequestView, v1::RequestState};

#[derive(Debug)]
pub(super) struct Queue {
    events: Vec<RequestState>,
    /// The state of each request that was seen last; of no more requests than there are.
    seen: HashMap<RequestId, RequestState>,
    waiting: VecDeque<(RequestId, RequestState)>,
}

impl Queue {
    /// At a start only those requests wait of which nobody was told before; what ended is history.
    pub(super) fn new(events: &[RequestState], views: &[RequestView]) -> Self {
        let told = |view: &&RequestView| view.state() != RequestState::Pending || !view.notified.is_empty();
        let seen = views.iter().filter(told).filter_map(known).collect();
        Self { events: events.to_vec(), seen, waiting: VecDeque::new() }
    }

    /// Takes up what changed since the last look.
    pub(super) fn look(&mut self, views: &[RequestView]) {
        let mut now = HashMap::with_capacity(views.len());
        // Oldest first: who waits longest is told first.
        for (id, state) in views.iter().rev().filter_map(known) {
            if self.seen.get(&id) != Some(&state) {
                self.enqueue(id, state);
            }
            now.insert(id, state);
        }
        self.seen = now;
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

/// Only what people decide on is told: certificates and withdrawals follow from it.
fn known(view: &RequestView) -> Option<(RequestId, RequestState)> {
    let id = view.id.parse().ok()?;
    (view.kind == "access").then(|| (id, view.state()))
}

/// More than people read; the oldest is forgotten first.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use tunnel_protos::v1::Notified;

    use super::*;

    fn view(id: RequestId, state: RequestState) -> RequestView {
        RequestView { id: id.to_string(), kind: "access".into(), state: state.into(), ..Default::default() }
    }

    #[test]
    fn each_request_waits_once_with_its_newest_state() {
        let (a, b) = (RequestId::random(), RequestId::random());
        let mut queue = Queue::new(&[RequestState::Pending, RequestState::Revoked], &[]);
        queue.look(&[view(b, RequestState::Pending), view(a, RequestState::Pending)]);
        queue.look(&[view(b, RequestState::Pending), view(a, RequestState::Pending)]);
        queue.look(&[view(b, RequestState::Pending), view(a, RequestState::Revoked)]);
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
        let mut known = view(told, RequestState::Pending);
        known.notified.push(Notified { who: "customer".into(), time_ms: 1 });
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
        assert_eq!(queue.pop().unwrap().0.to_string(), views[MOST - 1].id);
    }

    #[test]
    fn certificates_are_not_told() {
        let mut queue = Queue::new(&[RequestState::Pending], &[]);
        queue.look(&[RequestView {
            kind: "certificate".into(),
            ..view(RequestId::random(), RequestState::Pending)
        }]);
        assert_eq!(queue.len(), 0);
    }
}
