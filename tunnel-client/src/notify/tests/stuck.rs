//! Receivers that take the message and never come to an end: they cost one attempt each, and nobody but the webhook.

use tokio::net::TcpStream;

use super::*;

/// Hangs the first attempt, drips at the second, answers all others.
struct Stuck {
    address: SocketAddr,
    attempts: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

async fn stuck() -> Stuck {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, attempts) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let (count, mut server) = (attempts.clone(), JoinSet::new());
    server.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let attempt = count.fetch_add(1, Ordering::Relaxed);
            open.spawn(async move {
                match attempt {
                    0 => hang(stream).await,
                    1 => drip(stream).await,
                    _ => serve(stream, "HTTP/1.1 204 No Content\r\n\r\n", &Mutex::default()).await,
                }
            });
        }
    });
    Stuck { address, attempts, _server: server }
}

/// Takes everything and says nothing, until the other side has gone.
async fn hang(mut stream: TcpStream) {
    let mut part = [0; 4096];
    while stream.read(&mut part).await.is_ok_and(|count| count > 0) {}
}

/// An answer whose head never ends.
async fn drip(mut stream: TcpStream) {
    let mut head = "HTTP/1.1 200 OK\r\nx: ".bytes().chain(std::iter::repeat(b'y'));
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    while stream.write_all(&[head.next().unwrap_or_default()]).await.is_ok() {
        pace.tick().await;
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_or_drips_costs_an_attempt_each_and_holds_up_no_other_message() {
    let receiver = stuck().await;
    let url = format!("http://{}/", receiver.address);
    let world = start_with(&url, None, WebhookFormat::CloudEvents, Some(Duration::from_millis(200)));
    let (first, second) = (RequestId::random(), RequestId::random());
    world.desk.ask(view(first));
    let mut status = world.status.clone();
    let late = status.wait_for(|status| status.last_error.starts_with("no answer within 0.2 s"));
    tokio::time::timeout(Duration::from_secs(20), late).await.expect("it is given up").unwrap();
    world.desk.ask(view(second));
    world.awaited.send_replace(Some(Awaited::Entry(Digest::new([2; 32]))));
    eventually(|| world.desk.told.lock().len() == 2 && world.status.borrow().waiting == 0).await;
    let told: Vec<_> = world.desk.told.lock().iter().map(|(id, _)| *id).collect();
    assert!(told.contains(&first) && told.contains(&second), "{told:?}");
    eventually(|| receiver.attempts.load(Ordering::Relaxed) == 5).await;
    assert!(world.status.borrow().last_error.is_empty());
}

#[tokio::test]
async fn a_receiver_that_hangs_does_not_hold_up_the_end() {
    let receiver = stuck().await;
    let url = format!("http://{}/", receiver.address);
    let mut world = start_with(&url, None, WebhookFormat::CloudEvents, Some(Duration::from_secs(3600)));
    world.desk.ask(view(RequestId::random()));
    eventually(|| receiver.attempts.load(Ordering::Relaxed) == 1).await;
    world.drain.begin();
    let ended = tokio::time::timeout(Duration::from_secs(10), world.task.join_next()).await;
    assert!(matches!(ended, Ok(Some(Ok(())))), "{ended:?}");
    assert!(world.desk.told.lock().is_empty(), "the next start tells it");
}
