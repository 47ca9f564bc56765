//! Tables and properties of the registry; tunnels are numbers here.

use proptest::prelude::*;

use super::*;

const NOW: UnixMillis = UnixMillis(1_000);

fn label(c: char) -> Label {
    format!("k3v7{}", c.to_string().repeat(6)).parse().unwrap()
}

fn door(n: u8) -> Door {
    Door::from_random([n; 17])
}

fn who(c: char, replica: &str, epoch: u64) -> Attachment {
    Attachment { label: label(c), replica: replica.parse().unwrap(), epoch }
}

fn doors(full: bool, added: &[u8], removed: &[u8]) -> Doors {
    let texts = |ns: &[u8]| ns.iter().map(|n| door(*n).to_string()).collect();
    Doors { full, added: texts(added), removed: texts(removed) }
}

fn way(registry: &Registry<u32>, c: char, n: u8) -> Way<u32> {
    registry.way(&DoorName { door: door(n), label: label(c) })
}

/// A registry with one routable tunnel 7 of cluster `a`, door 1.
fn one() -> (Registry<u32>, TunnelId) {
    let mut registry = Registry::new(4);
    let id = registry.attach(who('a', "r0", 5), 7).unwrap().id;
    registry.announce(label('a'), id, &doors(true, &[1], &[])).unwrap();
    assert_eq!(registry.answered(label('a'), id, Vec::new(), NOW), Answered::Routable);
    (registry, id)
}

#[test]
fn a_door_leads_to_the_tunnel_that_announced_it() {
    let (registry, _) = one();
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
    assert_eq!(way(&registry, 'a', 2), Way::UnknownDoor);
    assert_eq!(way(&registry, 'b', 1), Way::Offline);
}

#[test]
fn a_tunnel_is_routable_only_after_a_probe_answer() {
    let mut registry = Registry::new(4);
    let id = registry.attach(who('a', "r0", 5), 7).unwrap().id;
    registry.announce(label('a'), id, &doors(true, &[1], &[])).unwrap();
    assert_eq!(way(&registry, 'a', 1), Way::Offline);
    assert_eq!(registry.overview(label('a')), Overview::default());
    registry.answered(label('a'), id, Vec::new(), NOW);
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
    assert_eq!(registry.overview(label('a')).tunnels, 1);
    assert_eq!(registry.overview(label('a')).last_seen, NOW);
}

#[test]
fn a_door_belongs_to_the_label_of_the_tunnels_identity() {
    let (mut registry, _) = one();
    let foreign = registry.attach(who('b', "r0", 9), 8).unwrap().id;
    registry.announce(label('b'), foreign, &doors(true, &[1, 2], &[])).unwrap();
    registry.answered(label('b'), foreign, Vec::new(), NOW);
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
    assert_eq!(way(&registry, 'a', 2), Way::UnknownDoor);
}

#[test]
fn a_later_start_of_a_replica_wins_at_once() {
    let (mut registry, old) = one();
    let newer = registry.attach(who('a', "r0", 6), 8).unwrap();
    assert_eq!(newer.superseded, [7]);
    assert_eq!(way(&registry, 'a', 1), Way::Offline);
    assert!(!registry.remove(label('a'), old));
    assert!(registry.remove(label('a'), newer.id));
}

#[test]
fn a_replacement_takes_over_once_it_is_proven() {
    let (mut registry, old) = one();
    let newer = registry.attach(who('a', "r0", 5), 8).unwrap();
    assert!(newer.superseded.is_empty());
    registry.announce(label('a'), newer.id, &doors(true, &[1], &[])).unwrap();
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
    assert_eq!(registry.answered(label('a'), newer.id, Vec::new(), NOW), Answered::Routable);
    assert_eq!((way(&registry, 'a', 1), registry.overview(label('a')).tunnels), (Way::Tunnel(8), 1));
    // Its sessions finish; it stays what it is, and nothing else of the replica stands beside.
    assert_eq!(registry.answered(label('a'), old, Vec::new(), NOW), Answered::Noted);
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(8));
    let third = registry.attach(who('a', "r0", 5), 9).unwrap();
    assert_eq!((third.superseded, registry.tunnels().count()), (vec![7], 2));
}

#[test]
fn a_replacement_that_dies_gives_the_lead_back() {
    let (mut registry, _) = one();
    let newer = registry.attach(who('a', "r0", 5), 8).unwrap().id;
    registry.announce(label('a'), newer, &doors(true, &[1], &[])).unwrap();
    registry.answered(label('a'), newer, Vec::new(), NOW);
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(8));
    assert!(registry.remove(label('a'), newer));
    assert_eq!((way(&registry, 'a', 1), registry.overview(label('a')).tunnels), (Way::Tunnel(7), 1));
}

#[test]
fn whoever_is_leaving_gets_no_lead_back() {
    let (mut registry, old) = one();
    let newer = registry.attach(who('a', "r0", 5), 8).unwrap().id;
    registry.answered(label('a'), newer, Vec::new(), NOW);
    registry.leaving(label('a'), old);
    registry.remove(label('a'), newer);
    assert_eq!(way(&registry, 'a', 1), Way::Offline);
}

#[test]
fn a_replacement_that_never_answered_does_not_end_the_tunnel_that_does() {
    let (mut registry, _) = one();
    registry.attach(who('a', "r0", 5), 8).unwrap();
    let third = registry.attach(who('a', "r0", 5), 9).unwrap();
    assert_eq!(third.superseded, [8]);
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
}

#[test]
fn the_lead_goes_to_nobody_who_never_answered() {
    let mut registry = Registry::new(4);
    let silent = registry.attach(who('a', "r0", 5), 7).unwrap().id;
    let newer = registry.attach(who('a', "r0", 5), 8).unwrap().id;
    registry.answered(label('a'), newer, Vec::new(), NOW);
    registry.remove(label('a'), newer);
    assert_eq!(way(&registry, 'a', 1), Way::Offline);
    assert_eq!(registry.answered(label('a'), silent, Vec::new(), NOW), Answered::Routable);
}

#[test]
fn until_a_replacement_has_announced_a_door_the_old_tunnel_leads_there() {
    let (mut registry, old) = one();
    let id = registry.attach(who('a', "r0", 5), 8).unwrap().id;
    assert_eq!(registry.answered(label('a'), id, Vec::new(), NOW), Answered::Routable);
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
    registry.announce(label('a'), id, &doors(true, &[1], &[])).unwrap();
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(8));
    registry.announce(label('a'), id, &doors(true, &[], &[])).unwrap();
    registry.leaving(label('a'), old);
    assert_eq!(way(&registry, 'a', 1), Way::UnknownDoor);
}

#[test]
fn who_was_replaced_and_does_not_leave_is_a_duplicate() {
    let (mut registry, old) = one();
    let newer = registry.attach(who('a', "r0", 5), 8).unwrap().id;
    registry.answered(label('a'), newer, Vec::new(), NOW);
    let later = NOW.plus(KNOWS_BY).plus(Duration::from_secs(1));
    assert_eq!(registry.answered(label('a'), old, Vec::new(), later), Answered::Duplicate);
    registry.leaving(label('a'), old);
    assert_eq!(registry.answered(label('a'), old, Vec::new(), later), Answered::Noted);
}

#[test]
fn the_tunnels_of_a_cluster_or_of_one_replica_are_found() {
    let (mut registry, _) = one();
    registry.attach(who('a', "r1", 1), 8).unwrap();
    registry.attach(who('b', "r0", 1), 9).unwrap();
    let of = |registry: &Registry<u32>, c, replica: Option<&str>| {
        let replica = replica.map(|id| id.parse().unwrap());
        registry.of(label(c), replica.as_ref()).copied().collect::<Vec<_>>()
    };
    assert_eq!(of(&registry, 'a', None), [7, 8]);
    assert_eq!(of(&registry, 'a', Some("r1")), [8]);
    assert_eq!(of(&registry, 'c', None), Vec::<u32>::new());
}

#[test]
fn an_older_start_is_refused_as_a_duplicate() {
    let (mut registry, _) = one();
    assert_eq!(registry.attach(who('a', "r0", 4), 8), Err(OlderEpoch));
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
}

#[test]
fn a_replica_that_is_leaving_gets_no_new_sessions() {
    let (mut registry, id) = one();
    registry.leaving(label('a'), id);
    assert_eq!(way(&registry, 'a', 1), Way::Offline);
    registry.answered(label('a'), id, Vec::new(), NOW);
    assert_eq!(way(&registry, 'a', 1), Way::Offline);
}

#[test]
fn another_replica_of_the_cluster_stands_beside() {
    let (mut registry, _) = one();
    let second = registry.attach(who('a', "r1", 1), 8).unwrap();
    assert!(second.superseded.is_empty());
    registry.announce(label('a'), second.id, &doors(true, &[2], &[])).unwrap();
    registry.answered(label('a'), second.id, Vec::new(), NOW);
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
    assert_eq!(way(&registry, 'a', 2), Way::Tunnel(8));
    assert_eq!(registry.tunnels().count(), 2);
}

#[test]
fn doors_change_by_full_sets_and_by_differences() {
    let (mut registry, id) = one();
    registry.announce(label('a'), id, &doors(false, &[2, 3], &[1])).unwrap();
    assert_eq!(way(&registry, 'a', 1), Way::UnknownDoor);
    assert_eq!(way(&registry, 'a', 3), Way::Tunnel(7));
    registry.announce(label('a'), id, &doors(true, &[4], &[])).unwrap();
    assert_eq!(way(&registry, 'a', 3), Way::UnknownDoor);
    assert_eq!(way(&registry, 'a', 4), Way::Tunnel(7));
}

#[test]
fn endless_doors_are_refused() {
    let (mut registry, id) = one();
    assert_eq!(
        registry.announce(label('a'), id, &doors(false, &[2, 3, 4, 5], &[])),
        Err(DoorsError::TooMany)
    );
}

#[test]
fn malformed_doors_change_nothing() {
    let (mut registry, id) = one();
    let mut change = doors(true, &[2], &[]);
    change.added.push("not-a-door".to_owned());
    assert_eq!(registry.announce(label('a'), id, &change), Err(DoorsError::Malformed));
    assert_eq!(way(&registry, 'a', 1), Way::Tunnel(7));
}

#[test]
fn a_superseded_tunnel_changes_nothing() {
    let (mut registry, old) = one();
    let newer = registry.attach(who('a', "r0", 6), 8).unwrap().id;
    registry.answered(label('a'), newer, Vec::new(), NOW);
    assert_eq!(registry.announce(label('a'), old, &doors(true, &[1], &[])), Err(DoorsError::NotAttached));
    assert_eq!(registry.answered(label('a'), old, Vec::new(), NOW), Answered::Noted);
    assert_eq!(way(&registry, 'a', 1), Way::UnknownDoor);
}

/// Something that happens to a registry; which tunnel is meant is taken modulo those that are live.
#[derive(Debug, Clone)]
enum Event {
    Attach(u8, u64),
    Answer(usize),
    Remove(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0u8..3, 0u64..4).prop_map(|(replica, epoch)| Event::Attach(replica, epoch)),
        any::<usize>().prop_map(Event::Answer),
        any::<usize>().prop_map(Event::Remove),
    ];
    proptest::collection::vec(event, 0..80)
}

/// What must hold of one replica's entries, whatever happened.
fn check_replica(entries: &[&Entry<usize>], answered: &HashSet<TunnelId>) -> Result<(), TestCaseError> {
    prop_assert!(entries.len() <= 2 && entries.windows(2).all(|pair| pair[0].epoch == pair[1].epoch));
    let count = |state: fn(&State) -> bool| entries.iter().filter(|entry| state(&entry.state)).count();
    let routable = count(|state| *state == State::Routable);
    let replaced = count(|state| matches!(state, State::Replaced(_)));
    let proven = |entry: &&Entry<usize>| entry.state == State::Unproven || answered.contains(&entry.id);
    prop_assert!(entries.iter().all(proven), "{entries:?}");
    prop_assert!(routable <= 1 && (replaced == 0 || routable == 1), "{entries:?}");
    Ok(())
}

proptest! {
    #[test]
    fn whoever_was_proven_is_reached_until_it_is_gone(events in events()) {
        let mut registry = Registry::new(4);
        let (mut live, mut answered) = (Vec::new(), HashSet::new());
        for (n, event) in events.into_iter().enumerate() {
            match event {
                Event::Attach(replica, epoch) => {
                    if let Ok(attached) = registry.attach(who('a', &format!("r{replica}"), epoch), n) {
                        live.push(attached.id);
                    }
                }
                Event::Answer(_) | Event::Remove(_) if live.is_empty() => {}
                Event::Answer(which) => {
                    let id = live[which % live.len()];
                    answered.insert(id);
                    registry.answered(label('a'), id, Vec::new(), NOW);
                }
                Event::Remove(which) => {
                    let id = live.remove(which % live.len());
                    registry.remove(label('a'), id);
                }
            }
            let tunnels = registry.clusters.get(&label('a')).map_or(&[][..], |cluster| &cluster.tunnels);
            for replica in ["r0", "r1", "r2"] {
                let own: Vec<_> = tunnels.iter().filter(|entry| entry.replica.as_str() == replica).collect();
                check_replica(&own, &answered)?;
            }
        }
        for id in live {
            registry.remove(label('a'), id);
        }
        prop_assert_eq!(registry.tunnels().count(), 0);
    }
}
