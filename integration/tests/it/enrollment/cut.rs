//! The broker redeemed a token, and its answer never arrives: the same client asks again, whatever happened to it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tracing::Span;
use tunnel_integration::harness::{PATIENCE, wait::until};
use tunnel_runtime::tasks::{Task, Tasks};

use super::lab::{Lab, Site};

/// Between client and broker: passes what the client says, and of the broker only its handshake until it is opened.
struct Way {
    address: SocketAddr,
    open: watch::Sender<bool>,
    _serving: Task<()>,
}

impl Way {
    async fn to(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, opened) = watch::channel(false);
        let serving = Task::spawn(Span::none(), serve(listener, broker, opened));
        Self { address, open, _serving: serving }
    }
}

async fn serve(listener: TcpListener, broker: SocketAddr, opened: watch::Receiver<bool>) {
    let tasks = Tasks::new();
    while let Ok((client, _)) = listener.accept().await {
        let opened = opened.clone();
        tasks.spawn(Span::none(), async move {
            // However it ends, the client asks again.
            let _ = pass(client, broker, opened).await;
        });
    }
}

async fn pass(
    client: TcpStream,
    broker: SocketAddr,
    mut opened: watch::Receiver<bool>,
) -> std::io::Result<()> {
    opened.mark_unchanged();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = TcpStream::connect(broker).await?.into_split();
    let mut asked = 0;
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        tokio::select! {
            read = from_client.read(&mut up) => {
                asked += 1;
                match read? {
                    0 => return Ok(()),
                    read => to_broker.write_all(&up[..read]).await?,
                }
            }
            read = from_broker.read(&mut down) => match read? {
                0 => return Ok(()),
                // After its first flight the client has asked; what comes now is the answer.
                read if asked <= 1 || *opened.borrow() => to_client.write_all(&down[..read]).await?,
                _ => {}
            },
            // The connection on which the answer was lost breaks.
            Ok(()) = opened.changed() => return Ok(()),
        }
    }
}

/// A client whose token is redeemed and that has not heard of it.
async fn unheard(lab: &Lab) -> (Site, Way) {
    let (bundle, token) = lab.invites("acme.bundle", &[]).await;
    let way = Way::to(lab.broker_settings.listen.tcp).await;
    let mut settings = lab.settings("customer", &bundle);
    settings.brokers = vec![way.address];
    let site = lab.start_site(settings);
    until("the token is redeemed", PATIENCE, || async {
        let said = lab.types(&["enroll", "show", token["token"].as_str().unwrap()]).await;
        anyhow::ensure!(said["brokerSays"]["state"] == "redeemed", "{said}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(site.view().await.unwrap()["state"], "redeeming");
    (site, way)
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again() {
    let lab = Lab::start().await;
    let (mut site, way) = unheard(&lab).await;
    way.open.send_replace(true);
    let words = site.registered().await;
    // Tunnels go another way than this test's.
    site.settings.brokers.clear();
    site.client.stop(PATIENCE).await.unwrap();
    site.restarts();
    assert_eq!(site.registered().await, words);
    lab.enrolls(&site).await;
    lab.is_called().await;
}

#[tokio::test]
async fn a_replica_that_is_killed_while_it_redeems_goes_on_with_the_same_keys() {
    let lab = Lab::start().await;
    let (mut site, _way) = unheard(&lab).await;
    site.client.kill().await.unwrap();
    site.settings.brokers.clear();
    site.restarts();
    lab.enrolls(&site).await;
    lab.is_called().await;
}
