//! What a kill at any moment leaves behind, on the real file.

use tunnel_protos::v1::{ReceivedStatus, RequestState};

use super::{
    approving::{alice, note},
    certificates::{granted, verify},
    house::{Disk, HOUR, House, MINUTE, NOW},
};
use crate::{
    audit::Audit,
    gate::grants::{Life, Over},
    tunnels::Inbox,
};

#[tokio::test]
async fn grants_doors_serials_and_outcomes_come_back_after_a_kill() {
    let house = House::new().await;
    let (grant, asked) = granted(&house).await;
    let serial = verify(&house, &asked).serial;
    let before = house.grant(&grant).unwrap();
    let house = house.restart().await;
    let after = house.grant(&grant).unwrap();
    assert_eq!((after.grant(), after.life()), (before.grant(), before.life()));
    assert!(house.view.serial(&serial).is_some());
    assert_eq!(house.state(&grant), RequestState::Active);
    assert_eq!(house.state(&asked), RequestState::Done);
    let renewed = house.operator("ann").certificate(grant.request.id.into(), NOW);
    assert_eq!(house.ask(&renewed).await, RequestState::Done);
}

#[tokio::test]
async fn the_same_envelope_gets_the_latest_stored_outcome_after_a_restart() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Compact"], NOW);
    house.ask(&sent).await;
    house.requests.acknowledged(house.requests.outcomes()[0].clone()).await;
    house.pass(2 * HOUR).await;
    for outcome in house.requests.outcomes() {
        house.requests.acknowledged(outcome).await;
    }
    house.settle().await;
    let house = house.restart().await;
    assert!(house.outcome(&sent).is_none());
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    assert_eq!(house.state(&sent), RequestState::Expired);
}

#[tokio::test]
async fn only_unacknowledged_outcomes_are_sent_again() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let (first, second) = (ann.access(&["e.Admin/Get"], NOW), ann.access(&["e.Admin/Get"], NOW));
    house.ask(&first).await;
    house.requests.acknowledged(house.requests.outcomes()[0].clone()).await;
    house.ask(&second).await;
    let house = house.restart().await;
    assert!(house.outcome(&first).is_none());
    assert!(house.outcome(&second).is_some());
}

#[tokio::test]
async fn what_ran_out_while_the_client_was_down_ends_at_start() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let wall = house.wall.clone();
    let house = house.restart_after(|_| wall.set(NOW.plus(HOUR))).await;
    house.settle().await;
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Ended));
    assert_eq!(house.state(&grant), RequestState::Ended);
}

#[tokio::test]
async fn each_start_raises_the_epoch() {
    let house = House::new().await;
    let first = house.requests.epoch();
    let house = house.restart().await;
    assert_eq!(house.requests.epoch(), first + 1);
}

#[tokio::test]
async fn a_restored_store_voids_all_grants_and_refuses_earlier_requests() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let pending = house.operator("ann").access(&["e.Admin/Compact"], NOW);
    house.ask(&pending).await;
    let held = house.operator("ann").access(&["e.Admin/Get"], NOW);
    let (folder, keys, wall) = house.stop().await;
    let backup = std::fs::read(folder.path().join("requests.sqlite")).unwrap();
    let house = House::start(folder, keys, wall).await;
    let lost = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.ask(&lost).await;
    let (folder, keys, wall) = house.stop().await;
    std::fs::write(folder.path().join("requests.sqlite"), backup).unwrap();
    wall.set(NOW.plus(MINUTE));
    let house = House::start(folder, keys, wall).await;
    assert!(matches!(house.grant(&grant).unwrap().life(), Life::Over(_)));
    assert_eq!(house.state(&pending), RequestState::Denied);
    assert_eq!(house.ask(&lost).await, RequestState::Denied);
    assert_eq!(house.ask(&held).await, RequestState::Denied);
    let fresh = || house.operator("ann").access(&["e.Admin/Get"], NOW.plus(MINUTE));
    assert_eq!(house.ask(&fresh()).await, RequestState::Pending);
    let pause = house.requests.pause_view().unwrap();
    assert_eq!(pause.who, "client");
    house.requests.resume(pause.id.parse().unwrap(), note(), alice()).await.unwrap();
    assert_eq!(house.ask(&fresh()).await, RequestState::Approved);
}

#[tokio::test]
async fn a_restore_is_not_forgotten_by_a_start_that_got_nowhere() {
    for broken in [Disk::lose, Disk::fill] {
        let house = House::new().await;
        let (grant, _) = granted(&house).await;
        let (folder, keys, wall) = house.stop().await;
        let backup = std::fs::read(folder.path().join("requests.sqlite")).unwrap();
        let house = House::start(folder, keys, wall).await;
        house.ask(&house.operator("ann").access(&["e.Admin/Get"], NOW)).await;
        let (folder, keys, wall) = house.stop().await;
        std::fs::write(folder.path().join("requests.sqlite"), backup).unwrap();
        let disk = Disk::default();
        broken(&disk);
        // It says so, or is killed over it: nothing of what follows from the restore is stored.
        let _ = House::try_start(&folder, &keys, &wall, &disk, Audit::default()).await;
        let house = House::start(folder, keys, wall).await;
        assert!(matches!(house.grant(&grant).unwrap().life(), Life::Over(_)));
        assert_eq!(house.requests.pause_view().unwrap().who, "client");
        house.settle().await;
        let pause = house.requests.pause_view().unwrap();
        house.requests.resume(pause.id.parse().unwrap(), note(), alice()).await.unwrap();
        let house = house.restart().await;
        assert!(house.requests.pause_view().is_none(), "all that follows from it was stored");
    }
}

#[tokio::test]
async fn what_a_clock_ahead_made_forgotten_is_not_new_when_it_is_set_back() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Drop"], NOW);
    house.ask(&sent).await;
    house.pass(48 * HOUR).await;
    assert!(house.requests.list(true).is_empty());
    let wall = house.wall.clone();
    let house = house.restart_after(|_| wall.set(NOW)).await;
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Unproven);
}

#[tokio::test]
async fn a_clock_set_back_makes_nothing_fresh_again() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let held = ann.access(&["e.Admin/Get"], NOW);
    house.wall.set(NOW.plus(HOUR));
    house.ask(&ann.access(&["e.Admin/Get"], NOW.plus(HOUR))).await;
    let wall = house.wall.clone();
    let house = house.restart_after(|_| wall.set(NOW)).await;
    assert_eq!(house.ask(&held).await, RequestState::Pending);
}
