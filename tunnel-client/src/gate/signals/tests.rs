use tunnel_protos::Door;

use super::*;
use crate::{
    gate::{
        grants::{self, GrantsWriter},
        testing,
    },
    requests::Pause,
};

const NOW: UnixMillis = UnixMillis(1_000_000);
const CERTIFICATE: Duration = Duration::from_secs(900);

struct Bench {
    writer: GrantsWriter,
    grant: GrantRef,
    policy: watch::Sender<Arc<Policy>>,
    drain: drain::Drain,
    drain_seen: drain::Watch,
    paused: watch::Sender<Option<Pause>>,
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
    let (paused, paused_seen) = watch::channel(None);
    let until = (&grant, NOW.plus(CERTIFICATE));
    let signals = Signals::new(until, paused_seen, policy_seen, drain_seen.clone(), clock());
    Bench { writer, grant, policy, drain, drain_seen, paused, signals }
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
async fn the_certificates_end_counts_only_if_the_policy_says_so() {
    let mut bench = bench(active(3_600));
    let began = tokio::time::Instant::now();
    let quiet = tokio::time::timeout(Duration::from_secs(600), bench.signals.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    bench.policy.send_replace(Arc::new(testing::policy(testing::UNTIL_CERTIFICATE)));
    assert_eq!(bench.signals.next().await, Event::NewPolicy);
    assert_eq!(bench.signals.next().await, Event::CertificateOver);
    assert_eq!(began.elapsed(), CERTIFICATE);
    assert_eq!(bench.signals.next().await, Event::GrantOver(Over::Ended));
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

#[tokio::test(start_paused = true)]
async fn a_pause_comes_at_once_and_once() {
    let mut bench = bench(active(3600));
    bench.paused.send_replace(Some(testing::pause(NOW)));
    assert_eq!(bench.signals.next().await, Event::Paused { since: NOW, note: "incident".into() });
    // That it is stored now is no new pause.
    bench.paused.send_replace(Some(testing::pause(NOW)));
    let quiet = tokio::time::timeout(Duration::from_secs(60), bench.signals.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_began_in_a_pause_is_cut_by_the_next_one_only() {
    let bench = bench(active(3600));
    bench.paused.send_replace(Some(testing::pause(NOW)));
    let mut signals = Signals::new(
        (&bench.grant, NOW.plus(CERTIFICATE)),
        bench.paused.subscribe(),
        bench.policy.subscribe(),
        bench.drain_seen.clone(),
        clock(),
    );
    let same = bench.policy.borrow().clone();
    bench.policy.send_replace(same);
    assert_eq!(signals.next().await, Event::NewPolicy);
    bench.paused.send_replace(None);
    assert!(tokio::time::timeout(Duration::from_secs(60), signals.next()).await.is_err());
    bench.paused.send_replace(Some(testing::pause(NOW)));
    assert_eq!(signals.next().await, Event::Paused { since: NOW, note: "incident".into() });
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_two_events_is_not_lost() {
    let mut bench = bench(active(3600));
    let same = bench.policy.borrow().clone();
    bench.policy.send_replace(same);
    assert_eq!(bench.signals.next().await, Event::NewPolicy);
    bench.paused.send_replace(Some(testing::pause(NOW)));
    assert_eq!(bench.signals.next().await, Event::Paused { since: NOW, note: "incident".into() });
}

#[tokio::test(start_paused = true)]
async fn nobody_left_to_pause_cuts() {
    let mut bench = bench(active(3600));
    let Bench { paused, signals, .. } = &mut bench;
    drop(std::mem::replace(paused, watch::channel(None).0));
    assert_eq!(signals.next().await, Event::Cut);
}
