//! A real gRPC server over a Unix socket, well-behaved or hostile.

mod shop;

use parking_lot::Mutex;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::Instant,
};

use self::shop::{Behavior, Shop};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn work(method: &str, json: &str, task: &str) -> Work {
    Work::Call {
        targets: "absent, default".to_owned(),
        method: format!("shop.v1.Admin/{method}"),
        json: json.to_owned(),
        timeout: SECOND,
        task: task.to_owned(),
    }
}

fn silent() -> Progress {
    Progress::new(|_, _| ())
}

fn storage() -> Vec<String> {
    vec!["storage".to_owned()]
}

#[tokio::test]
async fn sees_what_the_profile_says_how_to_see() {
    let shop = Shop::open(Behavior::Good);
    let found = shop.executor().look(&storage()).await.unwrap();
    let storage = &found.components["storage"];
    assert_eq!((storage.replicas, storage.release.as_deref()), (Some(3), Some("1.0")));
    assert_eq!(storage.settings["max-connections"], "10");
    let names: Vec<_> = storage.nodes.iter().map(|node| (node.name.as_str(), node.ready)).collect();
    assert_eq!(names, [("storage-0", true), ("storage-1", true), ("storage-2", true)]);
    assert_eq!(storage.nodes[0].start.as_deref(), Some("5"));
    let absent = ("absent".to_owned(), "The target absent cannot be reached".to_owned());
    assert_eq!(found.unwell, [absent].into());
}

#[tokio::test]
async fn calls_the_first_target_that_can_be_reached() {
    let shop = Shop::open(Behavior::Good);
    let call = work("Scale", r#"{"part":"storage","replicas":5}"#, "");
    shop.executor().call(call, silent()).await.unwrap();
    assert_eq!(shop.replicas(), 5);
    let found = shop.executor().look(&storage()).await.unwrap();
    assert_eq!(found.components["storage"].replicas, Some(5));
}

#[tokio::test]
async fn a_task_tells_how_far_it_is_and_whether_it_went_well() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = |told: &Arc<Mutex<Vec<(u64, u64)>>>| {
        let told = Arc::clone(told);
        Progress::new(move |done, total| told.lock().push((done, total)))
    };
    let call = || work("Work", r#"{"kind":"KIND_COMPACT"}"#, "compact");
    Shop::open(Behavior::Good).executor().call(call(), tell(&told)).await.unwrap();
    assert_eq!(*told.lock(), [(1, 2), (2, 2)]);
    let unwell = Shop::open(Behavior::Unfinished).executor().call(call(), silent()).await;
    assert_eq!(unwell, Err(CallFailed::Ended("The task ended, but not well".to_owned())));
}

#[tokio::test]
async fn a_no_in_the_midst_of_a_task_is_no_refusal() {
    let call = work("Work", r#"{"kind":"KIND_COMPACT"}"#, "compact");
    let ended = Shop::open(Behavior::Stopping).executor().call(call, silent()).await.unwrap_err();
    let CallFailed::Ended(why) = ended else { panic!("{ended:?}") };
    assert!(why.contains("shop.v1.Admin/Work at default"), "{why}");
}

#[tokio::test]
async fn a_no_is_told_from_silence_and_neither_hangs() {
    let call = || work("Scale", r#"{"part":"storage","replicas":5}"#, "");
    let refused = Shop::open(Behavior::Refusing).executor().call(call(), silent()).await.unwrap_err();
    let CallFailed::Refused(why) = refused else { panic!("{refused:?}") };
    assert!(why.contains("shop.v1.Admin/Scale at default") && why.contains("\\u{1b}"), "{why}");
    assert!(why.len() < 400, "{why}");
    let started = Instant::now();
    let lost = Shop::open(Behavior::Hanging).executor().call(call(), silent()).await.unwrap_err();
    assert!(matches!(lost, CallFailed::Lost(_)), "{lost:?}");
    assert!(started.elapsed() < 10 * SECOND);
    let lost = Shop::open(Behavior::Breaking).executor().call(call(), silent()).await.unwrap_err();
    assert!(matches!(lost, CallFailed::Lost(_)), "{lost:?}");
}

#[tokio::test]
async fn a_target_that_takes_no_connection_has_not_got_the_call() {
    let full = TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    // As many as wait to be accepted; the kernel lets a further one hang.
    let _waiting = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let shop = Shop::beside(Behavior::Good, &format!("http://{address}"));
    let call = work("Scale", r#"{"part":"storage","replicas":5}"#, "");
    shop.executor().call(call, silent()).await.unwrap();
    assert_eq!(shop.replicas(), 5);
}

#[tokio::test]
async fn a_call_that_reaches_no_target_is_unsent() {
    let shop = Shop::open(Behavior::Good);
    let Work::Call { method, json, timeout, task, .. } = work("Scale", r#"{"part":"storage"}"#, "") else {
        panic!("not a call")
    };
    let call = Work::Call { targets: "absent".to_owned(), method, json, timeout, task };
    let unsent = shop.executor().call(call, silent()).await.unwrap_err();
    assert!(matches!(unsent, CallFailed::Unsent(_)), "{unsent:?}");
}

#[tokio::test]
async fn a_flood_is_bounded_and_refused() {
    for behavior in [Behavior::Huge, Behavior::Many] {
        let why = Shop::open(behavior).executor().look(&storage()).await.unwrap_err();
        assert!(why.len() < 600 && !why.contains('\n'), "{why}");
    }
    let call = work("Work", r#"{"kind":"KIND_COMPACT"}"#, "compact");
    let started = Instant::now();
    let lost = Shop::open(Behavior::Endless).executor().call(call, silent()).await.unwrap_err();
    assert!(matches!(lost, CallFailed::Lost(_)), "{lost:?}");
    assert!(started.elapsed() < 20 * SECOND);
}

#[tokio::test]
async fn what_the_profile_does_not_know_any_more_is_not_called() {
    let shop = Shop::open(Behavior::Good);
    for call in [work("Gone", "{}", ""), work("Scale", r#"{"colour":"red"}"#, "")] {
        let refused = shop.executor().call(call, silent()).await.unwrap_err();
        assert!(matches!(refused, CallFailed::Refused(_)), "{refused:?}");
    }
    assert_eq!(shop.replicas(), 3);
}
