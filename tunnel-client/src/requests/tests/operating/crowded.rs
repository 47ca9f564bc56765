//! However much operators ask of the clerk, the customer's people are heard.

use futures_util::{FutureExt, future::join_all};
use tokio::task::unconstrained;

use super::*;

#[tokio::test]
async fn operators_take_no_place_of_the_customers_people() {
    let mut house = house().await;
    let (sent, _) = house.plan(&on_call("compact")).await;
    let id = sent.request.id;
    house.disk.hang(true);
    let office = &house.requests;
    let crowd = (0..100).map(|at| async move {
        if at % 2 == 0 { Office::start(office, id).await } else { Office::cancel(office, id).await }
    });
    let mut crowd = std::pin::pin!(unconstrained(join_all(crowd)));
    assert!(crowd.as_mut().now_or_never().is_none());
    let orders = &house.requests.orders;
    assert_eq!(orders.capacity(), orders.max_capacity());
    assert_eq!(house.requests.commands.capacity(), 0, "that is where they wait");
    let mut pause = std::pin::pin!(unconstrained(house.requests.pause(note(), anybody())));
    assert!(pause.as_mut().now_or_never().is_none());
    assert_eq!(orders.capacity(), orders.max_capacity() - 1, "it waits for the clerk alone");
    house.disk.hang(false);
    let (stored, _) = tokio::join!(pause, crowd);
    assert!(stored.stored);
}
