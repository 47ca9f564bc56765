//! Bans in memory and on disk.

use super::*;
use crate::enroll::testing::{Bench, NOW, alice, label};

fn ban(replica: Option<&str>) -> Banned {
    let replica = replica.map(|id| id.parse().unwrap());
    Banned { label: label('a'), replica, reason: "stolen".to_owned(), by: alice() }
}

fn banned(bench: &Bench, c: char, id: &str) -> bool {
    bench.enroll.banned(label(c), &id.parse().unwrap())
}

#[tokio::test]
async fn a_ban_is_of_one_replica_or_of_a_cluster_and_survives_a_restart() {
    let mut bench = Bench::new().await;
    bench.enroll.ban(&ban(Some("r1")), NOW).await.unwrap();
    for _ in 0..2 {
        assert!(banned(&bench, 'a', "r1") && !banned(&bench, 'a', "r2") && !banned(&bench, 'b', "r1"));
        bench.restart().await;
    }
    bench.enroll.ban(&ban(None), NOW).await.unwrap();
    bench.restart().await;
    assert!(banned(&bench, 'a', "r2") && !banned(&bench, 'b', "r2"));
}

#[tokio::test]
async fn taking_one_back_leaves_the_other() {
    let mut bench = Bench::new().await;
    bench.enroll.ban(&ban(Some("r1")), NOW).await.unwrap();
    bench.enroll.ban(&ban(None), NOW).await.unwrap();
    bench.enroll.unban(label('a'), None, &alice()).await.unwrap();
    for _ in 0..2 {
        assert!(banned(&bench, 'a', "r1") && !banned(&bench, 'a', "r2"));
        bench.restart().await;
    }
    bench.enroll.unban(label('a'), Some(&"r1".parse().unwrap()), &alice()).await.unwrap();
    bench.restart().await;
    assert!(!banned(&bench, 'a', "r1"));
}

#[tokio::test]
async fn a_ban_holds_although_it_could_not_be_stored_and_is_not_taken_back_so() {
    let bench = Bench::new().await;
    bench.enroll.ban(&ban(None), NOW).await.unwrap();
    bench.enroll.store.close().await;
    assert!(matches!(bench.enroll.ban(&ban(Some("r1")), NOW).await, Err(AdminError::Store(_))));
    assert!(matches!(bench.enroll.unban(label('a'), None, &alice()).await, Err(AdminError::Store(_))));
    assert!(banned(&bench, 'a', "r1") && banned(&bench, 'a', "r2"));
}
