//! A broker that was taken over while a customer enrolls, while keys roll over, and beside an honest one. The real
//! programs are behind it: each lie is refused and said, or is merely late.

mod middle;

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
};

use prost::Message;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
};
use tracing::Span;
use tunnel_certs::{
    key::{Algorithm, SealingKey, Signer, SigningKey},
    statement::{
        registration::{self, Registration},
        trust_bundle::TrustBundle,
    },
};
use tunnel_integration::harness::{
    PATIENCE,
    command::ended,
    customer::Customer,
    hostile::HostileBroker,
    vendor::now,
    wait::until,
    world::{Plan, World},
};
use tunnel_protos::v1::{
    Envelope, FleetBroker, FleetMap, PleaseMove, Redeem, broker_message::Body as FromBroker,
    enroll_reply::Body as Reply, enroll_request::Body as Ask,
};
use tunnel_runtime::tasks::{Task, Tasks};

use self::middle::{Middle, Twist};
use crate::enrollment::lab::{Lab, STATUS, Site};

/// A customer who was invited, and knows no way but that broker.
async fn behind(lab: &Lab, twist: Twist) -> (Middle, Site) {
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let middle = Middle::before(&lab.vendor, lab.broker_settings.listen.tcp, twist).await;
    let mut settings = lab.settings("customer", &bundle);
    settings.brokers = vec![middle.address];
    let site = lab.start_site(settings);
    (middle, site)
}

impl Site {
    /// From now on the way is the vendor's.
    async fn goes_the_right_way(&mut self) {
        self.client.stop(PATIENCE).await.unwrap();
        self.settings.brokers.clear();
        self.restarts();
    }
}

#[tokio::test]
async fn a_redemption_whose_answer_is_swallowed_or_comes_twice_is_one_redemption() {
    let lab = Lab::start().await;
    let reply = |turn, reply: Reply| if turn < 2 { Vec::new() } else { vec![reply.clone(), reply] };
    let (middle, mut site) = behind(&lab, Twist { reply: Box::new(reply), ..Twist::default() }).await;
    let words = site.registered().await;
    assert_eq!(middle.asked(), 3);
    site.goes_the_right_way().await;
    assert_eq!(site.registered().await, words);
    lab.enrolls(&site).await;
    lab.is_called().await;
}

#[tokio::test]
async fn an_older_trust_bundle_with_the_certificate_is_left() {
    let lab = Lab::start().await;
    let old = std::fs::read(&lab.broker_settings.trust_bundle).unwrap();
    let old = Envelope::decode(&old[..]).unwrap();
    assert_eq!(lab.certs(&["rotate", "renew"]).await.code, Some(0));
    let reply = move |_, reply| match reply {
        Reply::Issued(issued) => {
            vec![Reply::Issued(tunnel_protos::v1::Issued { trust_bundle: Some(old.clone()), ..issued })]
        }
        reply => vec![reply],
    };
    let (_middle, mut site) = behind(&lab, Twist { reply: Box::new(reply), ..Twist::default() }).await;
    site.registered().await;
    assert_eq!(site.customer.ask(&["roots", "list"]).await.unwrap()["sequence"], 2);
    site.goes_the_right_way().await;
    lab.enrolls(&site).await;
    lab.is_called().await;
}

/// The same registration with keys of the broker's own; the MAC is what it cannot make.
fn swapped(ask: Ask) -> Ask {
    let Ask::Redeem(redeem) = ask else { return ask };
    let own = registration::open(&redeem.registration.clone().unwrap().encode_to_vec()).unwrap();
    let [cluster, mesh] =
        [Algorithm::Ed25519, Algorithm::P256].map(|algorithm| SigningKey::generate(algorithm).unwrap());
    let forged = Registration {
        mesh_csr: mesh.csr().unwrap(),
        cluster_key: cluster.public().clone(),
        sealing_key: *SealingKey::generate().unwrap().public(),
        ..own.registration
    };
    let csr = forged.mesh_csr.clone();
    Ask::Redeem(Redeem { registration: Some(forged.make(&cluster).unwrap()), csr, ..redeem })
}

#[tokio::test]
async fn a_swapped_registration_is_never_confirmed_and_gives_the_customer_nothing() {
    let lab = Lab::start().await;
    let (_middle, site) = behind(&lab, Twist { ask: Box::new(swapped), ..Twist::default() }).await;
    let view = until("the customer refuses what it was given", PATIENCE, || async {
        let view = site.view().await?;
        let error = view["lastError"].as_str().unwrap_or_default();
        anyhow::ensure!(error.contains("certificate"), "{view}");
        Ok(view)
    })
    .await
    .unwrap();
    let refused = lab.confirm(view["registrationWords"].as_str().unwrap()).await;
    assert!(refused.code != Some(0) && refused.stderr.contains("Confirm nothing"), "{refused:?}");
    let listed = lab.types(&["enroll", "list"]).await;
    assert_eq!(listed["brokerSays"]["state"], "redeemed", "{listed}");
}

#[tokio::test]
async fn words_that_are_not_the_entrys_are_not_taken_and_the_right_ones_still_are() {
    let lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let site = lab.site("customer", &bundle);
    let registration = site.registered().await;
    let confirmed: Value = serde_json::from_str(&lab.confirm(&registration).await.stdout).unwrap();
    site.becomes("entry-waits").await;
    // As if the broker had brought another entry than the one whose words are read out.
    let typed =
        [&["enroll", "confirm"], &registration.split(' ').collect::<Vec<_>>()[..], &["--key", &site.key]];
    let refused = site.customer.run(&typed.concat()).await.unwrap();
    assert!(refused.code == Some(2) && refused.stderr.contains("not the words"), "{refused:?}");
    site.confirms(confirmed["words"].as_str().unwrap()).await;
    lab.is_called().await;
}

/// Between an operator and the broker: lets the operators' API through, and swallows what goes to doors.
async fn swallowing(broker: SocketAddr) -> (SocketAddr, Task<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Task::spawn(Span::none(), async move {
        let tasks = Tasks::new();
        while let Ok((mut operator, _)) = listener.accept().await {
            tasks.spawn(Span::none(), async move {
                // However it ends, the operator sees it.
                let _ = swallow(&mut operator, broker).await;
            });
        }
    });
    (address, serving)
}

async fn swallow(operator: &mut TcpStream, broker: SocketAddr) -> io::Result<()> {
    let mut hello = [0; 4096];
    let length = operator.read(&mut hello).await?;
    if hello[..length].windows(4).any(|name| name == b"api.") {
        let mut broker = TcpStream::connect(broker).await?;
        broker.write_all(&hello[..length]).await?;
        copy_bidirectional(operator, &mut broker).await?;
    } else {
        while operator.read(&mut hello).await? > 0 {}
    }
    Ok(())
}

#[tokio::test]
async fn sessions_that_are_swallowed_show_at_the_operator_who_keeps_the_grant() {
    let lab = Lab::start().await;
    let (bundle, _) = lab.invites("acme.bundle", &[]).await;
    let site = lab.site("customer", &bundle);
    lab.enrolls(&site).await;
    lab.is_called().await;
    let (address, _swallowing) = swallowing(lab.broker_settings.listen.tcp).await;
    let adam = lab.vendor.operator(&"adam".parse().unwrap()).unwrap();
    lab.desk.login(&lab.vendor, &adam, address).await.unwrap();
    let words = ["connect", "acme/prod", "--reason", "a test", "--method", STATUS];
    let refused = ended(lab.desk.command(&words).unwrap()).await.unwrap();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("the door does not answer"), "{refused:?}");
    let way_forward = refused.stderr.split("try again: tunnelctl ").nth(1).unwrap().to_owned();
    let resumed: Vec<&str> = way_forward.split([' ', ':', '\n']).take(4).collect();
    assert_eq!(resumed[..3], ["connect", "acme/prod", "--resume"], "{way_forward}");
    lab.logs_in().await;
    let resumed = ended(lab.desk.command(&resumed).unwrap()).await.unwrap();
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
}

/// A client that has two brokers: an honest one, and this.
async fn beside_an_honest_one() -> (World, HostileBroker, Customer) {
    let mut world = Plan::new().unwrap().start_offline().await.unwrap();
    let evil = HostileBroker::bind(&world.vendor).unwrap();
    world.client_settings.brokers.push(evil.address().unwrap());
    world.start_client().await.unwrap();
    let customer = Customer::new(&world.client_settings.socket());
    (world, evil, customer)
}

#[tokio::test]
async fn a_broker_that_swallows_every_frame_is_left_and_said_and_calls_go_on_by_another() {
    let (world, mut evil, customer) = beside_an_honest_one().await;
    evil.probe_interval_ms = 1_000;
    let _captive = evil.attach().await.unwrap();
    world.online().await.unwrap();
    until("it says that nothing comes", PATIENCE, || async {
        let status = customer.ask(&["status"]).await?;
        let said = status["tunnels"].to_string();
        anyhow::ensure!(said.contains("no probe arrived"), "{said}");
        Ok(())
    })
    .await
    .unwrap();
    world.pass(&[STATUS]).await.unwrap();
}

#[tokio::test]
async fn a_poisoned_fleet_map_makes_nobody_dial() {
    let (world, evil, customer) = beside_an_honest_one().await;
    let trap = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    trap.0.set_nonblocking(true).unwrap();
    trap.1.set_nonblocking(true).unwrap();
    let captive = evil.attach().await.unwrap();
    let places = [trap.0.local_addr().unwrap().to_string(), trap.1.local_addr().unwrap().to_string()];
    let [private, link_local, foreign] = ["10.71.0.9:443", "169.254.169.254:443", "brokers.example:443"];
    let addresses = places.iter().map(String::as_str).chain([private, link_local, foreign]);
    let brokers = addresses.map(|address| FleetBroker { id: "b9".to_owned(), address: address.to_owned() });
    let map = FleetMap { sequence: u64::MAX, brokers: brokers.collect() };
    captive.send(FromBroker::FleetMap(map)).unwrap();
    captive.send(FromBroker::PleaseMove(PleaseMove { address: places[0].clone() })).unwrap();
    // Messages keep their order: what comes after both is taken, so both were.
    let next = TrustBundle { sequence: 2, ..filed(&world) }.make(world.vendor.key()).unwrap();
    captive.send(FromBroker::TrustBundle(next)).unwrap();
    trusts(&customer, 2).await;
    assert_eq!(trap.0.recv(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(trap.1.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let status = customer.ask(&["status"]).await.unwrap();
    assert_eq!(status["tunnels"].as_array().unwrap().len(), 2, "{status}");
    drop(captive);
    world.online().await.unwrap();
    world.pass(&[STATUS]).await.unwrap();
}

fn filed(world: &World) -> TrustBundle {
    let file = std::fs::read(&world.client_settings.trust_bundle).unwrap();
    TrustBundle::open(&file, &[world.vendor.key().public().clone()], now()).unwrap()
}

async fn trusts(customer: &Customer, sequence: u64) {
    until("the trust bundle is taken", PATIENCE, || async {
        let roots = customer.ask(&["roots", "list"]).await?;
        anyhow::ensure!(roots["sequence"] == sequence, "{roots}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_old_and_a_foreign_trust_bundle_are_refused_and_said() {
    let (world, evil, customer) = beside_an_honest_one().await;
    let captive = evil.attach().await.unwrap();
    let (bundle, foreign) = (filed(&world), Arc::new(SigningKey::generate(Algorithm::Ed25519).unwrap()));
    let of = |sequence, key: &SigningKey| {
        FromBroker::TrustBundle(TrustBundle { sequence, ..bundle.clone() }.make(key).unwrap())
    };
    captive.send(of(5, world.vendor.key())).unwrap();
    trusts(&customer, 5).await;
    for (lie, said) in [(of(4, world.vendor.key()), "does not replace"), (of(99, &foreign), "keys")] {
        captive.send(lie).unwrap();
        until("it says what is wrong", PATIENCE, || async {
            let roots = customer.ask(&["roots", "list"]).await?;
            let error = roots["lastError"].as_str().unwrap_or_default();
            anyhow::ensure!(error.contains(said), "{roots}");
            anyhow::ensure!(roots["sequence"] == 5, "{roots}");
            Ok(())
        })
        .await
        .unwrap();
    }
    drop(captive);
    world.online().await.unwrap();
    world.pass(&[STATUS]).await.unwrap();
}
