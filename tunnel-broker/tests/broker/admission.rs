//! What is refused before anything is proven: garbage, slowness, crowds.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    World, in_time,
    operator::{all, hello, host, knock},
    replica::{Replica, Script, door},
};

const DECODE_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

async fn say(world: &World, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(world.addresses.tcp).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn garbage_gets_a_decode_error() {
    let world = World::start().await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 3, 1, 0, 0], &[22, 3, 1, 0xff, 0xff], &[0; 100]] {
        assert_eq!(all(say(&world, garbage).await).await, DECODE_ERROR, "{garbage:?}");
    }
}

#[tokio::test]
async fn a_slow_loris_is_cut_at_the_deadline() {
    let limit = Duration::from_millis(200);
    let world = World::start_with(|config| config.limits.connections.hello_timeout = limit).await;
    assert!(all(say(&world, &[22, 3, 1, 2]).await).await.is_empty());
}

#[tokio::test]
async fn one_byte_segments_find_their_way() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let hello = hello(&world, &host('a', door(1)));
    let mut stream = TcpStream::connect(world.addresses.tcp).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in &hello {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let offer = in_time("session", replica.offers.recv()).await.unwrap();
    let mut gate = offer.accept(Duration::from_secs(5)).await.unwrap();
    let mut first = vec![0; hello.len()];
    in_time("hello", gate.read_exact(&mut first)).await.unwrap();
    assert_eq!(first, hello);
}

#[tokio::test]
async fn a_crowd_from_one_source_is_refused_and_others_are_let_in_later() {
    let world = World::start_with(|config| config.limits.connections.unrouted_per_source = 2).await;
    let crowd = [say(&world, &[22]).await, say(&world, &[22]).await];
    // The listener takes connections in order, so the third finds the seats taken.
    let mut third = TcpStream::connect(world.addresses.tcp).await.unwrap();
    let read = in_time("refusal", third.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    drop(crowd);
    let seated = async {
        loop {
            let (mut stream, _) = knock(&world, "nothing.tunnel.example").await;
            let mut alert = [0; 7];
            if stream.read_exact(&mut alert).await.is_ok() {
                break;
            }
        }
    };
    in_time("a free seat", seated).await;
}

#[tokio::test]
async fn a_stranger_at_an_unknown_door_keeps_its_seat_to_the_end() {
    let world = World::start_with(|config| config.limits.connections.unrouted_per_source = 1).await;
    let (mut first, _) = knock(&world, &host('a', door(9))).await;
    let mut alert = [0; 7];
    in_time("alert", first.read_exact(&mut alert)).await.unwrap();
    // The broker reads on until this side closes, so that the alert arrives.
    let (mut second, _) = knock(&world, &host('a', door(9))).await;
    let read = in_time("refusal", second.read(&mut alert)).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn tunnels_past_the_cap_are_refused() {
    let world = World::start_with(|config| config.limits.connections.tunnels = 1).await;
    let first = Replica::attach(&world, Script::default()).await;
    let second = Replica::open(&world, Script { id: "r1", ..Default::default() }).await;
    assert!(second.is_err());
    assert_eq!(first.tunnel.close_reason(), None);
}
