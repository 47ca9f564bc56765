//! Sessions that are open now, for people who watch: who, where, which calls, how many bytes.
//!
//! A session's numbers are atomics of its own; calls take no lock, so watching costs them nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tunnel_protos::{
    GrantId, MethodName, OperatorName, TargetName, UnixMillis,
    approvers::{CallView, SessionView, SessionsView},
};

/// All sessions of this client; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    last: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Live>>>,
}

impl Sessions {
    /// Everything open at this moment, oldest first.
    pub fn view(&self, now: UnixMillis) -> SessionsView {
        let open: Vec<_> = self.0.open.lock().values().cloned().collect();
        SessionsView { time_ms: now.0, sessions: open.iter().map(|live| live.view()).collect() }
    }

    /// How many are open at this moment.
    pub fn count(&self) -> usize {
        self.0.open.lock().len()
    }

    /// Lists a session until what comes back is dropped.
    pub(super) fn list(&self, about: About) -> Listed {
        let id = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let live = Arc::new(Live::new(id, about));
        self.0.open.lock().insert(id, live.clone());
        Listed { sessions: self.clone(), live }
    }
}

/// What stays the same of a session.
#[derive(Debug)]
pub(super) struct About {
    pub(super) grant: GrantId,
    pub(super) operator: OperatorName,
    pub(super) target: TargetName,
    pub(super) since: UnixMillis,
    /// The granted methods; a call names one by its place here.
    pub(super) methods: Vec<Arc<MethodName>>,
}

/// A listed session; dropping it takes it off the list.
#[derive(Debug)]
pub(super) struct Listed {
    sessions: Sessions,
    live: Arc<Live>,
}

impl Listed {
    /// Counts a call of the method at `place` as open until what comes back is dropped.
    pub(super) fn begin(&self, place: usize, now: UnixMillis) -> Counted {
        self.live.calls.fetch_add(1, Ordering::Relaxed);
        let slot = self.live.take_slot(place, now);
        Counted { live: self.live.clone(), slot, own: Bytes::default() }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.sessions.0.open.lock().remove(&self.live.id);
    }
}

/// One open call's numbers; dropping it takes the call off the list.
#[derive(Debug)]
pub(super) struct Counted {
    live: Arc<Live>,
    slot: Option<usize>,
    own: Bytes,
}

impl Counted {
    /// Counts bytes from the operator.
    pub(super) fn add_in(&self, count: u64) {
        self.live.bytes.taken.fetch_add(count, Ordering::Relaxed);
        self.bytes().taken.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts bytes to the operator.
    pub(super) fn add_out(&self, count: u64) {
        self.live.bytes.given.fetch_add(count, Ordering::Relaxed);
        self.bytes().given.fetch_add(count, Ordering::Relaxed);
    }

    /// Bytes from and to the operator so far.
    pub(super) fn so_far(&self) -> (u64, u64) {
        self.bytes().read()
    }

    fn bytes(&self) -> &Bytes {
        self.slot.and_then(|slot| self.live.slots.get(slot)).map_or(&self.own, |slot| &slot.bytes)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.live.taken.fetch_and(!(1 << slot), Ordering::Release);
        }
    }
}

#[derive(Debug)]
struct Live {
    id: u64,
    about: About,
    calls: AtomicU64,
    bytes: Bytes,
    /// One bit for each slot in use.
    taken: AtomicU64,
    slots: [Slot; SLOTS],
}

/// One open call; a reader who comes while it changes hands may see a mix of two, which harms nobody.
#[derive(Debug, Default)]
struct Slot {
    method: AtomicU32,
    since: AtomicI64,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct Bytes {
    taken: AtomicU64,
    given: AtomicU64,
}

impl Bytes {
    fn read(&self) -> (u64, u64) {
        (self.taken.load(Ordering::Relaxed), self.given.load(Ordering::Relaxed))
    }

    fn clear(&self) {
        self.taken.store(0, Ordering::Relaxed);
        self.given.store(0, Ordering::Relaxed);
    }
}

impl Live {
    fn new(id: u64, about: About) -> Self {
        let slots = std::array::from_fn(|_| Slot::default());
        Self { id, about, calls: AtomicU64::new(0), bytes: Bytes::default(), taken: AtomicU64::new(0), slots }
    }

    /// None if as many are listed as may be. Only the session itself takes slots, so looking first is safe.
    fn take_slot(&self, place: usize, now: UnixMillis) -> Option<usize> {
        let free = self.taken.load(Ordering::Acquire).trailing_ones() as usize;
        let slot = self.slots.get(free)?;
        slot.bytes.clear();
        slot.method.store(u32::try_from(place).unwrap_or(u32::MAX), Ordering::Relaxed);
        slot.since.store(now.0, Ordering::Relaxed);
        self.taken.fetch_or(1 << free, Ordering::Release);
        Some(free)
    }

    fn view(&self) -> SessionView {
        let (bytes_in, bytes_out) = self.bytes.read();
        SessionView {
            id: self.id,
            grant: self.about.grant.to_string(),
            operator: self.about.operator.to_string(),
            target: self.about.target.to_string(),
            since_ms: self.about.since.0,
            calls: self.calls(),
            calls_total: self.calls.load(Ordering::Relaxed),
            bytes_in,
            bytes_out,
        }
    }

    fn calls(&self) -> Vec<CallView> {
        let taken = self.taken.load(Ordering::Acquire);
        let open = self.slots.iter().enumerate().filter(|(place, _)| taken & (1 << place) != 0);
        open.map(|(_, slot)| self.call(slot)).collect()
    }

    fn call(&self, slot: &Slot) -> CallView {
        let method = self.about.methods.get(slot.method.load(Ordering::Relaxed) as usize);
        let (bytes_in, bytes_out) = slot.bytes.read();
        CallView {
            method: method.map(ToString::to_string).unwrap_or_default(),
            since_ms: slot.since.load(Ordering::Relaxed),
            bytes_in,
            bytes_out,
        }
    }
}

/// Calls of one session that are listed: one bit each.
const SLOTS: usize = 64;

#[cfg(test)]
mod tests {
    use tunnel_protos::RequestId;

    use super::*;

    fn about() -> About {
        About {
            grant: RequestId::random().into(),
            operator: "ana".parse().unwrap(),
            target: TargetName::default_target(),
            since: UnixMillis(5),
            methods: vec![Arc::new("a.B/Get".parse().unwrap()), Arc::new("a.B/Put".parse().unwrap())],
        }
    }

    fn only(sessions: &Sessions) -> SessionView {
        sessions.view(UnixMillis(9)).sessions.remove(0)
    }

    #[test]
    fn a_session_is_listed_until_it_ends() {
        let sessions = Sessions::default();
        let first = sessions.list(about());
        let second = sessions.list(about());
        let ids = |view: SessionsView| view.sessions.iter().map(|one| one.id).collect::<Vec<_>>();
        assert_eq!(ids(sessions.view(UnixMillis(9))), [1, 2]);
        drop(first);
        assert_eq!((ids(sessions.view(UnixMillis(9))), sessions.count()), (vec![2], 1));
        drop(second);
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn open_calls_are_listed_by_method_with_their_bytes() {
        let sessions = Sessions::default();
        let listed = sessions.list(about());
        let call = listed.begin(1, UnixMillis(7));
        call.add_in(3);
        call.add_out(4);
        let view = only(&sessions);
        let expected = CallView { method: "a.B/Put".to_owned(), since_ms: 7, bytes_in: 3, bytes_out: 4 };
        assert_eq!((view.calls, view.calls_total), (vec![expected], 1));
        assert_eq!(call.so_far(), (3, 4));
        drop(call);
        let view = only(&sessions);
        assert_eq!((view.calls.len(), view.bytes_in, view.bytes_out), (0, 3, 4));
    }

    #[test]
    fn a_slot_begins_at_nothing_again() {
        let sessions = Sessions::default();
        let listed = sessions.list(about());
        listed.begin(0, UnixMillis(1)).add_in(9);
        let _next = listed.begin(0, UnixMillis(2));
        assert_eq!(only(&sessions).calls[0].bytes_in, 0);
    }

    #[test]
    fn calls_beyond_the_listed_ones_still_count() {
        let sessions = Sessions::default();
        let listed = sessions.list(about());
        let calls: Vec<_> = (0..70).map(|_| listed.begin(0, UnixMillis(1))).collect();
        calls.iter().for_each(|call| call.add_out(2));
        let view = only(&sessions);
        assert_eq!((view.calls.len(), view.calls_total, view.bytes_out), (64, 70, 140));
        assert!(calls.iter().all(|call| call.so_far() == (0, 2)));
    }
}
