use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMITS: ControlLimits =
    ControlLimits { queued: 4, bytes: 100, repeat: Duration::from_secs(5), stalled: Duration::from_secs(10) };

fn frame(byte: u8) -> Bytes {
    Bytes::copy_from_slice(&[byte; 10])
}

fn kept(outbox: &mut Outbox, byte: u8) -> Result<oneshot::Receiver<()>, Full> {
    let (sender, receiver) = oneshot::channel();
    outbox.kept(frame(byte), sender).map(|()| receiver)
}

#[test]
fn what_needs_no_acknowledgement_is_sent_once() {
    let mut outbox = Outbox::new(LIMITS);
    outbox.once(frame(1)).unwrap();
    assert_eq!(outbox.pop(Instant::now()), Some(frame(1)));
    assert_eq!((outbox.pop(Instant::now()), outbox.due()), (None, None));
}

#[test]
fn what_is_not_acknowledged_is_repeated() {
    let mut outbox = Outbox::new(LIMITS);
    let now = Instant::now();
    let _acknowledged = kept(&mut outbox, 1).unwrap();
    for round in 0..3 {
        let now = now + LIMITS.repeat * round;
        outbox.repeat(now);
        assert_eq!((outbox.pop(now), outbox.pop(now)), (Some(frame(1)), None));
        assert_eq!(outbox.due(), Some(now + LIMITS.repeat));
    }
}

#[test]
fn an_acknowledgement_ends_the_repeats_and_tells_the_sender() {
    let mut outbox = Outbox::new(LIMITS);
    let mut acknowledged = kept(&mut outbox, 1).unwrap();
    outbox.pop(Instant::now());
    outbox.acknowledged(&[7]);
    assert!(acknowledged.try_recv().is_err());
    outbox.acknowledged(&[1, 1]);
    assert_eq!(acknowledged.try_recv(), Ok(()));
    assert_eq!((outbox.due(), outbox.unacknowledged(), outbox.bytes), (None, 0, 0));
}

#[test]
fn an_acknowledgement_takes_back_a_queued_repeat() {
    let mut outbox = Outbox::new(LIMITS);
    let now = Instant::now();
    let _acknowledged = kept(&mut outbox, 1).unwrap();
    outbox.pop(now);
    outbox.repeat(now + LIMITS.repeat);
    outbox.acknowledged(&[1]);
    assert_eq!(outbox.pop(now), None);
}

#[test]
fn a_full_queue_refuses() {
    let mut outbox = Outbox::new(LIMITS);
    let waiters: Vec<_> = (0..4).map(|byte| kept(&mut outbox, byte)).collect();
    assert!(waiters.iter().all(Result::is_ok));
    assert_eq!(outbox.once(frame(9)), Err(Full));
    outbox.acknowledged(&[1]);
    assert_eq!(outbox.once(Bytes::from(vec![0; 71])), Err(Full));
    assert_eq!(outbox.once(frame(9)), Ok(()));
}

#[test]
fn a_refused_frame_uses_up_no_id() {
    let mut outbox = Outbox::new(ControlLimits { queued: 0, ..LIMITS });
    assert!(kept(&mut outbox, 1).is_err());
    assert_eq!(outbox.next_id(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Once,
    Kept,
    Pop,
    Acknowledge(u64),
    Later(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Once),
        Just(Step::Kept),
        Just(Step::Pop),
        (0_u64..20).prop_map(Step::Acknowledge),
        (0_u64..8).prop_map(Step::Later),
    ]
}

proptest! {
    #[test]
    fn bounds_hold_and_nothing_is_lost(steps in prop::collection::vec(step(), 0..200)) {
        let mut outbox = Outbox::new(LIMITS);
        let (mut now, mut waiters) = (Instant::now(), Vec::new());
        for step in steps {
            match step {
                Step::Once => drop(outbox.once(frame(0))),
                Step::Kept => waiters.extend(kept(&mut outbox, 1)),
                Step::Pop => drop(outbox.pop(now)),
                Step::Acknowledge(id) => outbox.acknowledged(&[id]),
                Step::Later(seconds) => {
                    now += Duration::from_secs(seconds);
                    outbox.repeat(now);
                }
            }
            prop_assert!(outbox.bytes <= LIMITS.bytes && outbox.waiting.len() <= LIMITS.queued);
            prop_assert!(outbox.queue.len() <= LIMITS.queued);
            let open = waiters.iter_mut().filter_map(|waiter| waiter.try_recv().err());
            let open = open.filter(|error| *error == oneshot::error::TryRecvError::Empty).count();
            prop_assert_eq!(open, outbox.unacknowledged());
        }
    }
}
