use super::*;

fn replica(name: &str, connected: bool, last_seen: i64) -> Replica {
    let (label, id) = (Label::from_random([9; 17]), name.parse().unwrap());
    Replica {
        name: format!("acme/prod/{name}"),
        label,
        id,
        connected,
        last_seen: UnixMillis(last_seen),
        acknowledged: None,
        by: None,
    }
}

#[test]
fn a_pass_is_for_who_is_named_or_long_away() {
    let now = UnixMillis(10_000_000);
    let hour = Passes { named: vec![], older_than: Some(Duration::from_secs(3600)) };
    assert!(hour.covers(&replica("r-1", false, 1), now));
    assert!(!hour.covers(&replica("r-1", false, 9_000_000), now));
    assert!(!hour.covers(&replica("r-1", true, 1), now), "who is connected can speak for itself");
    let away = replica("r-1", false, 9_000_000);
    for name in ["acme/prod/r-1".to_owned(), format!("{}/r-1", away.label)] {
        let named = Passes { named: vec![name], older_than: None };
        assert!(named.covers(&away, now) && !named.covers(&replica("r-2", false, 1), now));
    }
}

#[test]
fn an_acknowledgement_is_of_one_phase_and_one_bundle_at_least() {
    let mut one = replica("r-1", true, 1);
    one.acknowledged = Some((RotationPhase::Init, 7));
    assert!(one.is_at(RotationPhase::Init, 7) && one.is_at(RotationPhase::Init, 6));
    assert!(!one.is_at(RotationPhase::Init, 8) && !one.is_at(RotationPhase::UpdateReplicas, 7));
}

#[test]
fn progress_is_one_line() {
    let absent = (0..13).map(|n| format!("acme/prod/r-{n}")).collect();
    let count = Count { of: 300, acknowledged: 287, absent, ..Count::default() };
    let text = count.text(RotationPhase::Init);
    assert!(text.starts_with("init: 287 of 300 acknowledged, 13 absent: acme/prod/r-0, "), "{text}");
    assert!(text.ends_with(" and 3 more"), "{text}");
}
