//! `tunnelctl connect` says "granted" only once a door answered end to end: late doors are waited for, others are told of.

use std::{net::SocketAddr, time::Duration};

use tokio::time::Instant;
use tunnel_integration::harness::{
    command::{Ended, ended},
    doorkeeper::{Doorkeeper, Manner},
    operator::Pass,
    tunnelctl::Tunnelctl,
    world::World,
};
use tunnelctl::session::{DialError, Line};

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
/// The design's time for a new door to be known everywhere.
const PROOF: Duration = Duration::from_secs(5);

fn line(pass: &Pass, address: SocketAddr) -> Line {
    Line {
        host: pass.host.clone(),
        address: address.to_string(),
        credential: pass.credential.clone(),
        anchors: pass.anchors.clone(),
    }
}

/// Connects from a machine whose way to doors leads past `keeper`.
async fn connect(world: &World, keeper: &Doorkeeper) -> Ended {
    let machine = Tunnelctl::new(&world.folder().join("machine"), Vec::new()).unwrap();
    let identity = world.vendor.operator(&"ada".parse().unwrap()).unwrap();
    machine.login(&world.vendor, &identity, world.address()).await.unwrap();
    let address = keeper.address().to_string();
    let mut again = machine.command(&["login"]).unwrap();
    again.arg("--certificate").arg(&identity.certificate).arg("--key").arg(&identity.key);
    again.arg("--vendor-key").arg(world.vendor.key_file()).arg("--api-ca").arg(world.vendor.api_ca_file());
    again.args(["--api", &world.address().to_string(), "--suffix", world.vendor.suffix().as_str()]);
    again.args(["--connect-address", &address]);
    tunnel_integration::harness::command::run(again).await.unwrap();
    let words = ["connect", "acme/prod", "--reason", "a test", "--method", STATUS];
    ended(machine.command(&words).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_door_that_opens_late_is_waited_for() {
    let world = World::start().await.unwrap();
    let keeper = Doorkeeper::stand(world.address(), Manner::Late(5)).await.unwrap();
    let ended = connect(&world, &keeper).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(keeper.met() > 5, "it knocked {} times", keeper.met());
    assert!(ended.stdout.contains("grpcurl"), "{ended:?}");
}

#[tokio::test]
async fn a_door_that_never_opens_is_told_with_what_to_do() {
    let world = World::start().await.unwrap();
    let keeper = Doorkeeper::stand(world.address(), Manner::Never).await.unwrap();
    let ended = connect(&world, &keeper).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(keeper.met() > 5, "it knocked {} times", keeper.met());
    let told = "granted, but the door does not answer; try again: tunnelctl connect acme/prod --resume ";
    assert!(ended.stderr.contains(told), "{ended:?}");
    assert!(!ended.stdout.contains("grpcurl"), "a line that would not work: {ended:?}");
}

#[tokio::test]
async fn a_door_that_the_broker_does_not_know_is_asked_for_until_the_deadline() {
    let mut world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    line(&pass, world.address()).prove().await.unwrap();
    world.stop_client().await.unwrap();
    world.offline().await.unwrap();
    let began = Instant::now();
    let error = line(&pass, world.address()).prove().await.unwrap_err();
    assert!(matches!(&error, DialError::Connect { host, .. } if *host == pass.host), "{error:?}");
    let took = began.elapsed();
    assert!(took > PROOF / 2 && took < PROOF * 2, "{took:?}");
}

#[tokio::test]
async fn a_door_that_says_nothing_ends_at_the_deadline() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS]).await.unwrap();
    let keeper = Doorkeeper::stand(world.address(), Manner::Silent).await.unwrap();
    let began = Instant::now();
    let error = line(&pass, keeper.address()).prove().await.unwrap_err();
    assert!(matches!(&error, DialError::Deadline(host) if *host == pass.host), "{error:?}");
    assert!(began.elapsed() < PROOF + PROOF / 2, "{:?}", began.elapsed());
    assert_eq!(keeper.met(), 1, "one connection is waited for");
}
