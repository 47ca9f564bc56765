//! Operations as a list shows them, and as little of them as where they stand.

use std::time::Duration;

use super::*;
use crate::{approvers::MOST_REQUESTS, requests::Record};

#[tokio::test]
async fn a_list_shows_the_newest_and_of_a_plan_one_line() {
    let mut house = house().await;
    let (sent, planned) = house.running().await;
    let listed = house.requests.list(false).remove(0).running.unwrap();
    let plan = listed.plan.unwrap();
    assert_eq!((plan.title, listed.plan_digest), (planned.plan.title.clone(), planned.digest().to_vec()));
    assert!(plan.steps.is_empty() && listed.steps.is_empty());
    let shown = Office::operation(&house.requests, &sent.request.id).unwrap();
    assert_eq!((shown.plan, shown.steps.len()), (Some(planned.plan), 1));
    let record = house.requests.shared.record(&sent.request.id).unwrap();
    for number in 0..MOST_REQUESTS {
        let (id, received) = (RequestId::random(), NOW.plus(HOUR + Duration::from_millis(number as u64)));
        house.requests.shared.book.write().put(Record { id, received, ..record.clone() });
    }
    let views = house.requests.list(true);
    assert_eq!(views.len(), MOST_REQUESTS);
    assert!(views.is_sorted_by_key(|view| std::cmp::Reverse(view.received_ms)));
    assert!(views.iter().all(|view| view.id != sent.request.id.to_string()), "the oldest is left out");
}

#[tokio::test]
async fn where_an_operation_stands_is_told_as_with_the_rest_of_it() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    let id = sent.request.id;
    let both = || (Office::state(&house.requests, &id), Office::operation(&house.requests, &id).unwrap());
    assert_eq!(both().0, Some(RequestState::Running));
    assert_eq!(both().0, Some(both().1.state()));
    house.moved(&sent, RunState::Succeeded).await;
    assert_eq!(both().0, Some(RequestState::Succeeded));
    let access = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.ask(&access).await;
    assert_eq!(Office::state(&house.requests, &access.request.id), None);
}
