use tunnel_protos::RequestId;

use super::*;

fn grant(door: Door) -> Grant {
    Grant {
        id: RequestId::random().into(),
        operator: "ana".parse().unwrap(),
        methods: [("a.B/Get".parse().unwrap(), Level::Auto)].into(),
        doors: [(TargetName::default_target(), door)].into(),
        raw: false,
        operation: None,
    }
}

fn door(seed: u8) -> Door {
    Door::from_random([seed; 17])
}

const ACTIVE: Life = Life::Active { until: UnixMillis(1_000) };

#[test]
fn finds_a_grant_by_door_and_by_serial() {
    let (writer, view) = channel();
    let one = grant(door(1));
    writer.put(one.clone(), Life::Waiting);
    writer.add_serial(&one.id, Serial::new([7; 16]));
    assert_eq!(view.door(&door(1)).unwrap().grant(), &one);
    assert_eq!(view.serial(&Serial::new([7; 16])).unwrap().grant(), &one);
    assert!(view.door(&door(2)).is_none());
    assert!(view.serial(&Serial::new([8; 16])).is_none());
    assert_eq!(view.door(&door(1)).unwrap().target(&door(1)), Some(&TargetName::default_target()));
    assert_eq!(view.door(&door(1)).unwrap().target(&door(2)), None);
}

#[test]
fn a_serial_of_an_unknown_grant_is_not_kept() {
    let (writer, view) = channel();
    writer.add_serial(&RequestId::random().into(), Serial::new([7; 16]));
    assert!(view.serial(&Serial::new([7; 16])).is_none());
}

#[test]
fn over_is_final_and_stays_as_a_tombstone() {
    let (writer, view) = channel();
    let one = grant(door(1));
    writer.put(one.clone(), ACTIVE);
    writer.set_life(&one.id, Life::Over(Over::Revoked));
    writer.set_life(&one.id, ACTIVE);
    writer.put(one, ACTIVE);
    assert_eq!(view.door(&door(1)).unwrap().life(), Life::Over(Over::Revoked));
    assert_eq!(view.doors(), [door(1)]);
}

#[tokio::test]
async fn everybody_who_waits_hears_the_end() {
    let (writer, view) = channel();
    let one = grant(door(1));
    writer.put(one.clone(), Life::Waiting);
    let held = view.door(&door(1)).unwrap();
    let (a, b) = (held.clone(), held.clone());
    let both = async { tokio::join!(a.over(), b.over()) };
    let revoke = async {
        writer.set_life(&one.id, ACTIVE);
        writer.set_life(&one.id, Life::Over(Over::Revoked));
    };
    assert_eq!(tokio::join!(both, revoke).0, (Over::Revoked, Over::Revoked));
}

#[tokio::test]
async fn removing_forgets_doors_and_serials_and_cuts() {
    let (writer, view) = channel();
    let (one, two) = (grant(door(1)), grant(door(2)));
    writer.put(one.clone(), ACTIVE);
    writer.put(two, ACTIVE);
    writer.add_serial(&one.id, Serial::new([7; 16]));
    let held = view.door(&door(1)).unwrap();
    writer.remove(&one.id);
    assert_eq!(held.over().await, Over::Ended);
    assert!(view.door(&door(1)).is_none() && view.serial(&Serial::new([7; 16])).is_none());
    assert_eq!(view.doors(), [door(2)]);
}

#[test]
fn the_door_watch_wakes_when_grants_come_and_go() {
    let (writer, view) = channel();
    let mut changes = view.changes();
    let one = grant(door(1));
    writer.put(one.clone(), ACTIVE);
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    writer.set_life(&one.id, Life::Over(Over::Ended));
    assert!(!changes.has_changed().unwrap());
    writer.remove(&one.id);
    assert!(changes.has_changed().unwrap());
}

#[test]
fn counts_open_sessions() {
    let (writer, view) = channel();
    writer.put(grant(door(1)), ACTIVE);
    let held = view.door(&door(1)).unwrap();
    let (a, b) = (held.open_session(), held.open_session());
    assert_eq!((held.sessions(), view.sessions()), (2, 2));
    drop((a, b));
    assert_eq!((held.sessions(), view.sessions()), (0, 0));
}
