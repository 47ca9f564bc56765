//! Two things at once: one is being stored when the other comes, in both orders, through the handles of the real clerk.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tunnel_protos::v1::{ReceivedStatus, RequestState};

use super::{
    approving::{alice, anybody, note},
    house::{HOUR, NOW, Sent, TestWall, load},
    model::{
        disk::{Disk, Fault},
        stage::{ClientLife, LAX, OPERATORS, is_live},
    },
};
use crate::{approvers::ResumeError, clock::Wall, policy::Policy, requests::State, tunnels::Inbox};

/// What races.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Racer {
    Approve,
    Certify,
    Withdraw,
    Revoke,
    Expire,
    Pause,
    DenyOperator,
}

use Racer::{Approve, Certify, DenyOperator, Expire, Pause, Revoke, Withdraw};

struct Arena {
    disk: Disk,
    wall: TestWall,
    policy: watch::Sender<Arc<Policy>>,
    life: ClientLife,
    asked: Sent,
}

impl Arena {
    async fn new(method: &str) -> Self {
        let (disk, wall) = (Disk::default(), TestWall::default());
        let policy = watch::Sender::new(Arc::new(load(LAX)));
        let life = ClientLife::start(&disk, &wall, &policy).await;
        let asked = OPERATORS[0].access(&[method], NOW);
        assert_eq!(life.requests.deliver(asked.sealed.clone()).await, ReceivedStatus::Taken);
        Self { disk, wall, policy, life, asked }
    }

    /// Whether it was carried out.
    fn run(&self, racer: Racer) -> BoxFuture<'_, bool> {
        let (requests, id) = (&self.life.requests, self.asked.request.id);
        match racer {
            Approve => Box::pin(async move {
                requests.approve(id, self.asked.digest, None, note(), alice()).await.is_ok()
            }),
            Certify => Box::pin(self.ask(OPERATORS[0].certificate(id.into(), NOW))),
            Withdraw => Box::pin(self.ask(OPERATORS[0].withdraw(id, NOW))),
            Revoke => Box::pin(async move { requests.revoke(id.into(), note(), anybody()).await.is_ok() }),
            Expire => Box::pin(async move {
                self.wall.set(self.wall.now().plus(3 * HOUR));
                true
            }),
            Pause => Box::pin(async move { requests.pause(note(), anybody()).await.stored }),
            DenyOperator => Box::pin(async move {
                requests.deny_operator("ann".parse().unwrap(), note(), anybody()).await.is_ok()
            }),
        }
    }

    async fn ask(&self, asked: Sent) -> bool {
        self.life.requests.deliver(asked.sealed.clone()).await == ReceivedStatus::Taken
            && self.life.state(&asked) == Some(RequestState::Done)
    }

    /// The second comes while the first is being stored; whether each was carried out, and where it ends.
    async fn race(&self, first: Racer, second: Racer) -> (bool, bool, State, bool) {
        self.disk.hold(true);
        let later = async {
            // Time passing is not stored by anybody who waits.
            if first != Expire {
                self.disk.held().await;
            }
            let release = async {
                tokio::task::yield_now().await;
                self.disk.hold(false);
            };
            tokio::join!(self.run(second), release).0
        };
        let (first, second) = tokio::join!(self.run(first), later);
        self.life.settle().await;
        let live = self.life.view.grant(&self.asked.request.id.into());
        let live = live.is_some_and(|grant| is_live(grant.life()));
        (first, second, self.life.state_of(&self.asked).unwrap(), live)
    }

    /// The next process sees the same.
    async fn again(&self) -> State {
        ClientLife::start(&self.disk, &self.wall, &self.policy).await.state_of(&self.asked).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_yes_and_what_ends_it_at_once_end_in_what_ends_it() {
    let rows = [
        (Approve, Withdraw, (true, true, State::Withdrawn, false)),
        (Withdraw, Approve, (true, false, State::Withdrawn, false)),
        (Approve, Revoke, (true, false, State::Approved, true)),
        (Approve, Expire, (true, true, State::Expired, false)),
        (Expire, Approve, (true, false, State::Expired, false)),
        (Approve, Pause, (true, true, State::Approved, true)),
        (Pause, Approve, (true, false, State::Pending, false)),
        (Approve, DenyOperator, (true, true, State::Revoked, false)),
        (DenyOperator, Approve, (true, false, State::Denied, false)),
        (Approve, Approve, (true, false, State::Approved, true)),
    ];
    for (first, second, ends) in rows {
        let arena = Arena::new("e.Admin/Compact").await;
        assert_eq!(arena.race(first, second).await, ends, "{first:?} and {second:?}");
        assert_eq!(arena.again().await, ends.2, "{first:?} and {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_and_what_cuts_its_grant_at_once_leave_nothing_open() {
    let rows = [
        (Certify, Revoke, (true, true, State::Revoked, false)),
        (Revoke, Certify, (true, false, State::Revoked, false)),
        (Certify, Withdraw, (true, true, State::Ended, false)),
        (Withdraw, Certify, (true, false, State::Withdrawn, false)),
        (Certify, DenyOperator, (true, true, State::Revoked, false)),
        (DenyOperator, Certify, (true, false, State::Revoked, false)),
        (Certify, Expire, (true, true, State::Ended, false)),
        (Pause, Certify, (true, false, State::Approved, true)),
    ];
    for (first, second, ends) in rows {
        let arena = Arena::new("e.Admin/Get").await;
        assert_eq!(arena.race(first, second).await, ends, "{first:?} and {second:?}");
        assert_eq!(arena.again().await, ends.2, "{first:?} and {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_denied_once_more_while_it_is_allowed_stays_denied() {
    let arena = Arena::new("e.Admin/Get").await;
    let (requests, ann) = (&arena.life.requests, || "ann".parse().unwrap());
    assert!(arena.run(DenyOperator).await);
    // The second deny is another order, at another time.
    arena.wall.set(arena.wall.now().plus(HOUR));
    arena.disk.hold(true);
    let again = async {
        arena.disk.held().await;
        let release = async {
            tokio::task::yield_now().await;
            arena.disk.hold(false);
        };
        tokio::join!(arena.run(DenyOperator), release).0
    };
    let (_, denied) = tokio::join!(requests.allow_operator(ann(), note(), alice()), again);
    assert!(denied);
    assert_eq!(requests.denied_operators(), ["ann"]);
    assert!(arena.disk.orders().denied.contains_key(&ann()));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_ordered_while_another_is_lifted_holds() {
    let arena = Arena::new("e.Admin/Get").await;
    let requests = &arena.life.requests;
    let pause = requests.pause(note(), anybody()).await.id.parse().unwrap();
    arena.disk.hold(true);
    let again = async {
        arena.disk.held().await;
        let release = async {
            tokio::task::yield_now().await;
            arena.disk.hold(false);
        };
        tokio::join!(requests.pause(note(), anybody()), release).0
    };
    let (resumed, again) = tokio::join!(requests.resume(pause, note(), alice()), again);
    assert!(matches!(resumed, Err(ResumeError::Again)));
    assert!(again.stored && requests.paused().borrow().is_some());
    assert_eq!(arena.disk.orders().pause.unwrap().id.to_string(), again.id);
    requests.resume(again.id.parse().unwrap(), note(), alice()).await.unwrap();
    assert!(requests.paused().borrow().is_none() && arena.disk.orders().pause.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_was_lifted_before_it_is_kept_is_in_force_again() {
    let arena = Arena::new("e.Admin/Get").await;
    let requests = &arena.life.requests;
    arena.disk.hold(true);
    let late = async {
        arena.disk.held().await;
        let lifted = async {
            tokio::task::yield_now().await;
            requests.shared.standing.change(|orders| orders.pause = None);
            arena.disk.hold(false);
        };
        tokio::join!(requests.pause(note(), anybody()), lifted).0
    };
    let (_, pause) = tokio::join!(arena.run(Certify), late);
    assert!(pause.stored && requests.paused().borrow().is_some() && arena.disk.orders().pause.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_cuts_is_in_force_while_its_grant_is_being_stored() {
    for cut in [Revoke, DenyOperator] {
        let arena = Arena::new("e.Admin/Get").await;
        arena.disk.hold(true);
        let meanwhile = async {
            arena.disk.held().await;
            let cutting = arena.run(cut);
            let look = async {
                tokio::task::yield_now().await;
                let grant = arena.life.view.grant(&arena.asked.request.id.into()).unwrap();
                assert!(!is_live(grant.life()), "{cut:?}");
                arena.disk.hold(false);
            };
            tokio::join!(cutting, look)
        };
        tokio::join!(arena.run(Certify), meanwhile);
    }
}

#[tokio::test(start_paused = true)]
async fn what_people_order_comes_before_what_brokers_deliver() {
    let arena = Arena::new("e.Admin/Compact").await;
    arena.disk.hold(true);
    let [first, second] = [NOW, NOW].map(|now| OPERATORS[1].access(&["e.Admin/Get"], now));
    // The process dies at the third thing that is stored.
    arena.disk.break_after(2, Fault::Die);
    let deliver = |sent: &Sent| arena.life.requests.deliver(sent.sealed.clone());
    let yes = async {
        arena.disk.held().await;
        let release = async {
            tokio::task::yield_now().await;
            arena.disk.hold(false);
        };
        tokio::join!(arena.run(Approve), release).0
    };
    let all = async { tokio::join!(deliver(&first), deliver(&second), yes) };
    tokio::select! {
        biased;
        () = arena.disk.died() => {}
        _ = all => panic!("nothing died"),
    }
    let stored = |sent: &Sent| arena.disk.record(&sent.request.id.to_string()).map(|record| record.state);
    let states = [stored(&first), stored(&arena.asked), stored(&second)];
    assert_eq!(states, [Some(State::Approved), Some(State::Approved), None]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_tunnel_has_gone_is_left_for_the_next() {
    let arena = Arena::new("e.Admin/Compact").await;
    arena.disk.hold(true);
    let left = OPERATORS[1].access(&["e.Admin/Get"], NOW);
    let gone = async {
        arena.disk.held().await;
        let delivery = arena.life.requests.deliver(left.sealed.clone());
        tokio::select! {
            biased;
            _ = delivery => panic!("the clerk is busy"),
            () = tokio::task::yield_now() => {}
        }
        arena.disk.hold(false);
    };
    tokio::join!(arena.run(Approve), gone);
    arena.life.settle().await;
    assert!(arena.disk.record(&left.request.id.to_string()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgment_of_an_older_outcome_says_nothing_of_the_newer_one() {
    let arena = Arena::new("e.Admin/Compact").await;
    let older = arena.life.requests.outcomes().remove(0);
    arena.disk.hold(true);
    let acknowledged = async {
        arena.disk.held().await;
        // It was the latest when the broker took it; the yes is being stored.
        arena.life.requests.acknowledged(older.clone()).await;
        arena.disk.hold(false);
    };
    let (approved, ()) = tokio::join!(arena.run(Approve), acknowledged);
    assert!(approved);
    arena.life.settle().await;
    let life = ClientLife::start(&arena.disk, &arena.wall, &arena.policy).await;
    assert_eq!(life.state(&arena.asked), Some(RequestState::Approved), "the yes is still to be told");
}
