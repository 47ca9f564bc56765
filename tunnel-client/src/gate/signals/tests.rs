use tunnel_protos::Door;

use super::*;
use crate::gate::{
    grants::{self, GrantsWriter},
    testing,
};

const NOW: UnixMillis = UnixMillis(1_000_000);

struct Bench {
    writer: GrantsWriter,
    grant: GrantRef,
    policy: watch::Sender<Arc<Policy>>,
    drain: drain::Drain,
    signals: Signals,
}

/// A clock that follows tokio's, which tests pause.
fn clock() -> Clock {
    let start = tokio::time::Instant::now();
    Clock::new(move || NOW.plus(start.elapsed()))
}

fn bench(life: Life) -> Bench {
    let (writer, view) = grants::channel();
    let door = Door::from_random([1; 17]);
    writer.put(testing::content(&[], door), life);
    let grant = view.door(&door).unwrap();
    let (policy, policy_seen) = watch::channel(Arc::new(testing::policy(testing::ALLOW_ALL)));
    let (drain, drain_seen) = drain::channel();
    let signals = Signals::new(&grant, policy_seen, drain_seen, clock());
    Bench { writer, grant, policy, drain, signals }
}

fn active(left: u64) -> Life {
    Life::Active { until: NOW.plus(Duration::from_secs(left)) }
}

#[tokio::test(start_paused = true)]
async fn the_grants_end_comes_by_the_clock() {
    let mut bench = bench(active(25));
    let began = tokio::time::Instant::now();
    assert_eq!(bench.signals.next().await, Event::GrantOver(Over::Ended));
    assert_eq!(began.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_moves_is_followed() {
    let mut bench = bench(Life::Waiting);
    bench.writer.set_life(&bench.grant.grant().id, active(5));
    let began = tokio::time::Instant::now();
    assert_eq!(bench.signals.next().await, Event::GrantOver(Over::Ended));
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_comes_at_once() {
    let mut bench = bench(active(3600));
    bench.writer.set_life(&bench.grant.grant().id, Life::Over(Over::Revoked));
    assert_eq!(bench.signals.next().await, Event::GrantOver(Over::Revoked));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_was_over_before_is_not_an_event() {
    for life in [Life::Over(Over::Revoked), active(0)] {
        let mut bench = bench(life);
        bench.drain.begin();
        assert_eq!(bench.signals.next().await, Event::Drain);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_comes_once_and_then_the_cut() {
    let mut bench = bench(active(3600));
    bench.drain.begin();
    assert_eq!(bench.signals.next().await, Event::Drain);
    bench.drain.cut();
    assert_eq!(bench.signals.next().await, Event::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_new_policy_is_an_event_and_its_loss_a_cut() {
    let mut bench = bench(active(3600));
    bench.policy.send_replace(Arc::new(testing::policy(testing::MANUAL_ALL)));
    assert_eq!(bench.signals.next().await, Event::NewPolicy);
    drop(bench.policy);
    assert_eq!(bench.signals.next().await, Event::Cut);
}
