//! A kill at each place of an operation's way, replays, and a store that was put back.

use tunnel_protos::v1::ReceivedStatus;

use super::*;

#[tokio::test]
async fn what_was_being_planned_is_planned_again() {
    let mut house = house().await;
    let (sent, _) = house.asked(&task("compact")).await;
    let mut house = house.restart().await;
    house.set_policy(OPERATIONS);
    house.settle().await;
    assert_eq!(house.hands.asked().pop().unwrap().id, sent.request.id);
    house.say(Word::Planned(sent.request.id, Ok(plan(&task("compact"), "late")))).await;
    assert_eq!(house.state(&sent), RequestState::Running);
}

#[tokio::test]
async fn a_plan_that_waits_for_a_yes_stays_the_same() {
    let mut house = house().await;
    let (sent, planned) = house.plan(&task("reindex")).await;
    let mut house = house.restart().await;
    house.set_policy(OPERATIONS);
    house.settle().await;
    assert!(house.hands.asked().is_empty());
    house.yes(&sent, &planned, alice()).await.unwrap();
    house.settle().await;
    assert_eq!(house.hands.ordered().pop().unwrap().planned, planned);
}

#[tokio::test]
async fn what_was_approved_and_not_begun_begins_or_waits_as_before() {
    let mut house = house().await;
    let (waits, planned) = house.plan(&on_call("compact")).await;
    let mut house = house.restart().await;
    house.set_policy(OPERATIONS);
    house.settle().await;
    assert!(house.hands.ordered().is_empty());
    start(&house, &waits).await.unwrap();
    assert_eq!(house.hands.ordered().pop().unwrap().planned, planned);
}

#[tokio::test]
async fn what_ran_is_handed_to_its_runner_again() {
    let mut house = house().await;
    let (sent, planned) = house.running().await;
    let mut house = house.restart().await;
    house.settle().await;
    let [order] = &house.hands.ordered()[..] else { panic!("one order") };
    assert_eq!((order.id, &order.planned, order.operator.as_str()), (sent.request.id, &planned, "ann"));
    house.moved(&sent, RunState::Succeeded).await;
    let mut house = house.restart().await;
    house.settle().await;
    assert_eq!(house.state(&sent), RequestState::Succeeded);
    assert!(house.hands.ordered().is_empty());
}

#[tokio::test]
async fn an_end_on_a_full_disk_is_stored_later() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    house.disk.fill();
    house.moved(&sent, RunState::Failed).await;
    assert_eq!(house.requests.view(&sent.request.id).unwrap().state(), RequestState::Failed);
    assert_eq!(house.state(&sent), RequestState::Running, "not told before it is stored");
    house.disk.free();
    house.settle().await;
    let house = house.restart().await;
    assert_eq!(house.state(&sent), RequestState::Failed);
}

#[tokio::test]
async fn a_plan_that_cannot_be_stored_is_made_again() {
    let mut house = house().await;
    let (sent, _) = house.asked(&task("compact")).await;
    house.disk.fill();
    house.say(Word::Planned(sent.request.id, Ok(plan(&task("compact"), "lost")))).await;
    assert!(house.hands.ordered().is_empty() && house.grant(&sent).is_none());
    house.disk.free();
    house.pass(2 * MINUTE).await;
    assert_eq!(house.hands.asked().pop().unwrap().id, sent.request.id);
    house.say(Word::Planned(sent.request.id, Ok(plan(&task("compact"), "kept")))).await;
    assert_eq!(house.state(&sent), RequestState::Running);
}

#[tokio::test]
async fn an_operation_is_taken_once() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    let again = house.operator("ann").seal_again(&sent);
    assert_eq!(house.deliver(&again).await, ReceivedStatus::Known);
    let mut twin = house.operation(&task("compact")).request;
    twin.id = sent.request.id;
    let ann = house.operator("ann");
    let key = std::sync::Arc::new(tunnel_certs::key::SealingKey::generate().unwrap());
    twin.outcome_key = *key.public();
    let twin = ann.send((twin, key));
    assert_eq!(house.ask(&twin).await, RequestState::Denied);
    house.settle().await;
    assert!(house.hands.asked().is_empty() && house.hands.ordered().is_empty());
    let mut house = house.restart().await;
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    assert!(house.hands.asked().is_empty());
}

#[tokio::test]
async fn a_reset_clock_stops_what_runs_and_voids_the_rest() {
    let mut house = house().await;
    let (waits, _) = house.plan(&on_call("compact")).await;
    let (runs, _) = house.running().await;
    house.pass(HOUR / 4).await;
    // Stored by the wrong clock.
    house.plan(&on_call("compact")).await;
    house.wall.set(NOW);
    let to = NOW.plus(MINUTE);
    house.requests.reset_clock(to, note(), alice()).await.unwrap();
    assert_eq!(house.state(&waits), RequestState::Revoked);
    house.settle().await;
    assert!(house.hands.stopping(&runs.request.id).is_some());
    assert_eq!(house.state(&runs), RequestState::Running);
}

#[tokio::test]
async fn nobody_says_what_became_of_a_run_in_a_store_that_was_put_back() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    let (folder, keys, wall) = house.stop().await;
    let backup = std::fs::read(folder.path().join("requests.sqlite")).unwrap();
    let house = House::start(folder, keys, wall).await;
    house.moved(&sent, RunState::Succeeded).await;
    let (folder, keys, wall) = house.stop().await;
    std::fs::write(folder.path().join("requests.sqlite"), backup).unwrap();
    let mut house = House::start(folder, keys, wall).await;
    house.settle().await;
    assert_eq!(house.state(&sent), RequestState::Indeterminate);
    assert!(house.hands.ordered().is_empty());
    assert!(house.requests.pause_view().is_some());
}
