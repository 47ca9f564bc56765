//! What is still to be told: the newest state of each request and of the enrollment, in the order in which it came. Pure.

use std::collections::{HashMap, VecDeque};

use tunnel_protos::{RequestId, v1::RequestState};

use crate::{config::WebhookEvent, enrollment::Awaited, requests::Glimpse};

/// What one message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Request(RequestId, RequestState),
    Enrollment(Awaited),
}

#[derive(Debug)]
pub(super) struct Queue {
    events: Vec<WebhookEvent>,
    /// The state of each request that was seen last; of no more requests than there are.
    seen: HashMap<RequestId, RequestState>,
    /// What waited for people at the last look.
    awaited: Option<Awaited>,
    waiting: VecDeque<Topic>,
}

impl Queue {
    /// At a start only those requests wait of which nobody was told before; what ended is history. Of an enrollment that
    /// waits it is told once more.
    pub(super) fn new(events: &[WebhookEvent], glimpses: &[Glimpse]) -> Self {
        let told = |glimpse: &&Glimpse| glimpse.state != RequestState::Pending || glimpse.told;
        let seen = glimpses.iter().filter(told).map(|glimpse| (glimpse.id, glimpse.state)).collect();
        Self { events: events.to_vec(), seen, awaited: None, waiting: VecDeque::new() }
    }

    /// Takes up what changed since the last look; oldest first, since who waits longest is told first.
    pub(super) fn look(&mut self, glimpses: &[Glimpse], awaited: Option<Awaited>) {
        if std::mem::replace(&mut self.awaited, awaited) != awaited {
            self.waiting.retain(|topic| !matches!(topic, Topic::Enrollment(_)));
            awaited
                .into_iter()
                .for_each(|awaited| self.push(Topic::Enrollment(awaited), WebhookEvent::Enrollment));
        }
        for Glimpse { id, state, .. } in glimpses {
            if self.seen.get(id) != Some(state) {
                self.waiting.retain(|topic| !topic.is_of(*id));
                self.push(Topic::Request(*id, *state), WebhookEvent::Request(*state));
            }
        }
        self.seen = glimpses.iter().map(|glimpse| (glimpse.id, glimpse.state)).collect();
    }

    /// Tries this one again after all others, unless something newer waits.
    pub(super) fn again(&mut self, topic: Topic) {
        let is_newer = |known: &Topic| match topic {
            Topic::Request(id, _) => known.is_of(id),
            Topic::Enrollment(_) => matches!(known, Topic::Enrollment(_)),
        };
        if !self.waiting.iter().any(is_newer) {
            self.waiting.push_back(topic);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Topic> {
        self.waiting.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn push(&mut self, topic: Topic, event: WebhookEvent) {
        if self.events.contains(&event) {
            self.waiting.push_back(topic);
        }
        while self.waiting.len() > MOST {
            self.waiting.pop_front();
        }
    }
}

impl Topic {
    fn is_of(&self, request: RequestId) -> bool {
        matches!(self, Self::Request(id, _) if *id == request)
    }
}

/// More than people read; the oldest is forgotten first.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use tunnel_certs::words::Words;
    use tunnel_protos::Digest;

    use super::*;

    fn view(id: RequestId, state: RequestState) -> Glimpse {
        Glimpse { id, state, told: false }
    }

    #[test]
    fn each_request_waits_once_with_its_newest_state() {
        let (a, b) = (RequestId::random(), RequestId::random());
        let mut queue = Queue::new(
            &[WebhookEvent::Request(RequestState::Pending), WebhookEvent::Request(RequestState::Revoked)],
            &[],
        );
        queue.look(&[view(a, RequestState::Pending), view(b, RequestState::Pending)], None);
        queue.look(&[view(a, RequestState::Pending), view(b, RequestState::Pending)], None);
        queue.look(&[view(a, RequestState::Revoked), view(b, RequestState::Pending)], None);
        assert_eq!(
            [queue.pop(), queue.pop(), queue.pop()],
            [
                Some(Topic::Request(b, RequestState::Pending)),
                Some(Topic::Request(a, RequestState::Revoked)),
                None
            ]
        );
    }

    #[test]
    fn a_state_that_nobody_asked_for_replaces_what_waits() {
        let id = RequestId::random();
        let mut queue = Queue::new(&[WebhookEvent::Request(RequestState::Pending)], &[]);
        queue.look(&[view(id, RequestState::Pending)], None);
        queue.look(&[view(id, RequestState::Approved)], None);
        assert_eq!(queue.pop(), None, "nobody need be woken any more");
    }

    #[test]
    fn a_start_tells_only_what_nobody_was_told() {
        let (told, new, over) = (RequestId::random(), RequestId::random(), RequestId::random());
        let known = Glimpse { told: true, ..view(told, RequestState::Pending) };
        let views = [known, view(new, RequestState::Pending), view(over, RequestState::Revoked)];
        let mut queue = Queue::new(
            &[WebhookEvent::Request(RequestState::Pending), WebhookEvent::Request(RequestState::Revoked)],
            &views,
        );
        queue.look(&views, None);
        assert_eq!((queue.pop(), queue.pop()), (Some(Topic::Request(new, RequestState::Pending)), None));
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let views: Vec<_> = (0..MOST + 5).map(|_| view(RequestId::random(), RequestState::Pending)).collect();
        let mut queue = Queue::new(&[WebhookEvent::Request(RequestState::Pending)], &[]);
        queue.look(&views, None);
        assert_eq!(queue.len(), MOST);
        assert_eq!(queue.pop(), Some(Topic::Request(views[5].id, RequestState::Pending)));
    }

    #[test]
    fn an_enrollment_waits_once_as_long_as_it_needs_people() {
        let words = Awaited::Registration(Words::of(&Digest::new([1; 32])));
        let entry = Awaited::Entry(Digest::new([2; 32]));
        let mut queue = Queue::new(&[WebhookEvent::Enrollment], &[]);
        queue.look(&[], Some(words));
        queue.look(&[], Some(words));
        queue.look(&[], Some(entry));
        assert_eq!((queue.pop(), queue.pop()), (Some(Topic::Enrollment(entry)), None), "the newest alone");
        queue.again(Topic::Enrollment(entry));
        queue.look(&[], Some(entry));
        assert_eq!(queue.len(), 1, "it was not told yet");
        queue.look(&[], None);
        assert_eq!(queue.pop(), None, "somebody did it");
        let mut deaf = Queue::new(&[WebhookEvent::Request(RequestState::Pending)], &[]);
        deaf.look(&[], Some(entry));
        assert_eq!(deaf.len(), 0);
    }
}
