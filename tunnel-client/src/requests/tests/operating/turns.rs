//! What waited for its turn is judged once more before its first step.

use tokio::sync::oneshot;

use super::*;

impl House {
    /// What the clerk says once its turn has come.
    async fn turn(&self, sent: &Sent, plan: &Planned) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        self.say(Word::Turn { id: sent.request.id, plan: digest(plan), reply }).await;
        answer.await.unwrap()
    }
}

#[tokio::test]
async fn it_begins_as_long_as_nothing_speaks_against_it() {
    let mut house = house().await;
    let (sent, planned) = house.running().await;
    assert_eq!(house.turn(&sent, &planned).await, Ok(()));
    let other = plan(&task("compact"), "other");
    assert_eq!(house.turn(&sent, &other).await, Err("It is not to run any more".to_owned()));
    house.moved(&sent, RunState::Succeeded).await;
    assert!(house.turn(&sent, &planned).await.is_err());
}

#[tokio::test]
async fn a_policy_that_denies_it_since_then_has_the_last_word() {
    let mut house = house().await;
    let (sent, planned) = house.running().await;
    house.requests.pause(note(), anybody()).await;
    house.set_policy(&OPERATIONS.replace("compact: auto", "compact: deny"));
    let why = house.turn(&sent, &planned).await.unwrap_err();
    assert!(why.starts_with("Today's policy does not let it begin (approvals.runTask"), "{why}");
    house.set_policy(OPERATIONS);
    assert_eq!(house.turn(&sent, &planned).await, Ok(()), "a pause holds it by itself");
}

#[tokio::test]
async fn neither_its_own_end_nor_a_refused_operator_is_forgotten() {
    let mut house = house().await;
    let (sent, planned) = house.running().await;
    house.wall.set(NOW.plus(31 * MINUTE));
    let why = house.turn(&sent, &planned).await.unwrap_err();
    assert_eq!(why, "Its time was over before its turn came; ask again");
    let (sent, planned) = house.running().await;
    house.requests.deny_operator("ann".parse().unwrap(), note(), anybody()).await.unwrap();
    assert!(house.turn(&sent, &planned).await.is_err());
}

#[tokio::test]
async fn what_is_planned_again_waits_for_a_person_from_then_on_and_not_beyond_its_own_end() {
    let mut house = house().await;
    let (sent, planned) = house.plan(&task("reindex")).await;
    house.yes(&sent, &planned, alice()).await.unwrap();
    house.pass(3 * HOUR).await;
    assert_eq!(house.state(&sent), RequestState::Running);
    let again = plan(&task("reindex"), "second");
    house.say(Word::Stale(sent.request.id, Ok(again.clone()))).await;
    assert_eq!(house.state(&sent), RequestState::Pending);
    assert_eq!(house.outcome(&sent).unwrap().deadlines.pending_until_ms, sent.request.expires.0);
    house.yes(&sent, &again, alice()).await.unwrap();
    house.pass(2 * HOUR).await;
    assert_eq!(house.state(&sent), RequestState::Running);
    house.say(Word::Stale(sent.request.id, Ok(planned))).await;
    let ended = (house.state(&sent), house.why(&sent));
    assert_eq!(ended, (RequestState::Expired, "Its time was over before it was planned again".to_owned()));
}
