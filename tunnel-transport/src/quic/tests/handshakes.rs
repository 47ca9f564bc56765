use std::net::UdpSocket;

use tokio::time::timeout;
use tunnel_certs::{identity::Identity, verify::MeshVerifier};

use super::*;
use crate::Closed;

async fn attempt(
    listener: &Listener,
    to: &Dial,
) -> (Result<Tunnel, HandshakeError>, Result<Tunnel, DialError>) {
    let accepted = async { listener.accept().await.unwrap().finish(LONG).await };
    tokio::join!(accepted, dial(to))
}

#[tokio::test]
async fn both_ends_know_who_the_other_is() {
    let pair = Pair::new().await;
    assert!(matches!(pair.broker.peer(), Identity::Replica { .. }));
    assert!(matches!(pair.replica.peer(), Identity::Broker { .. }));
    assert!(pair.broker.peer_not_after() > tunnel_protos::UnixMillis::default());
    assert_eq!(pair.broker.carrier(), "quic");
}

#[tokio::test]
async fn refuses_a_replica_of_an_unknown_ca() {
    let (mesh, foreign) = (Mesh::new(), Mesh::new());
    let listener = listener(&mesh, Limits::default(), Admission::default());
    let tls = client_tls(&mesh, &foreign.replica());
    let to = Dial { tls, ..to(listener.local_addr().unwrap(), &mesh, Limits::default()) };
    let (accepted, dialed) = attempt(&listener, &to).await;
    assert!(matches!(accepted, Err(HandshakeError::Failed(_))));
    // A TLS 1.3 client may be done before the server has seen its certificate.
    if let Ok(tunnel) = dialed {
        assert!(matches!(timeout(LONG, tunnel.closed()).await, Ok(Closed::Lost(_))));
    }
}

#[tokio::test]
async fn refuses_a_broker_of_an_unknown_ca() {
    let (mesh, foreign) = (Mesh::new(), Mesh::new());
    let listener = listener(&foreign, Limits::default(), Admission::default());
    let to = to(listener.local_addr().unwrap(), &mesh, Limits::default());
    let (_, dialed) = attempt(&listener, &to).await;
    assert!(matches!(dialed, Err(DialError::Handshake(..))));
}

#[tokio::test]
async fn refuses_a_broker_where_a_replica_belongs() {
    let mesh = Mesh::new();
    let listener = listener(&mesh, Limits::default(), Admission::default());
    let tls = client_tls(&mesh, &mesh.broker());
    let to = Dial { tls, ..to(listener.local_addr().unwrap(), &mesh, Limits::default()) };
    let (accepted, _) = attempt(&listener, &to).await;
    assert!(matches!(accepted, Err(HandshakeError::Failed(_))));
}

#[tokio::test]
async fn the_identity_is_checked_again_after_the_handshake() {
    let (mesh, foreign) = (Mesh::new(), Mesh::new());
    let verifier: MeshVerifier = foreign.verifier();
    let tls = ServerTls { verifier, ..server_tls(&mesh, &mesh.broker()) };
    let key = ResetKey::new([7; 32]);
    let listener = Listener::bind(LOOPBACK, tls, &key, Limits::default(), Admission::default()).unwrap();
    let to = to(listener.local_addr().unwrap(), &mesh, Limits::default());
    let (accepted, dialed) = attempt(&listener, &to).await;
    assert!(matches!(accepted, Err(HandshakeError::Peer(_))));
    let closed = timeout(LONG, dialed.unwrap().closed()).await.unwrap();
    assert_eq!(closed, Closed::ByPeer { code: Code::Unauthorized, retry_after: None });
    assert!(!closed.is_retryable());
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_tunnels_only() {
    let mesh = Mesh::new();
    let listener = listener(&mesh, Limits::default(), Admission::default());
    let to = to(listener.local_addr().unwrap(), &mesh, Limits::default());
    let (before, _before) = attempt(&listener, &to).await;
    let other = Mesh::new();
    listener.set_tls(server_tls(&other, &other.broker())).unwrap();
    let (_, after) = attempt(&listener, &to).await;
    assert!(matches!(after, Err(DialError::Handshake(..))));
    assert_eq!(before.unwrap().close_reason(), None);
}

#[tokio::test]
async fn a_handshake_that_stops_half_way_is_given_up() {
    let mesh = Mesh::new();
    let listener = listener(&mesh, Limits::default(), Admission::default());
    let hole = UdpSocket::bind(LOOPBACK).unwrap();
    hole.set_nonblocking(true).unwrap();
    let hole = tokio::net::UdpSocket::from_std(hole).unwrap();
    let to = to(hole.local_addr().unwrap(), &mesh, Limits::default());
    // The first packets reach the broker, its answers reach nobody.
    let one_way = async {
        let mut packet = [0; 2048];
        loop {
            let (length, _) = hole.recv_from(&mut packet).await.unwrap();
            hole.send_to(&packet[..length], listener.local_addr().unwrap()).await.unwrap();
        }
    };
    let finished = async { listener.accept().await.unwrap().finish(SHORT).await };
    let finished = tokio::select! {
        finished = finished => finished,
        () = one_way => unreachable!(),
        _ = dial(&to) => unreachable!(),
    };
    assert!(matches!(finished, Err(HandshakeError::Deadline(SHORT))));
    assert_eq!(listener.handshakes(), 0);
}

#[tokio::test]
async fn dialing_into_silence_ends_at_the_deadline() {
    let mesh = Mesh::new();
    let hole = UdpSocket::bind(LOOPBACK).unwrap();
    let to = Dial { deadline: SHORT, ..to(hole.local_addr().unwrap(), &mesh, Limits::default()) };
    let error = dial(&to).await.unwrap_err();
    assert!(matches!(error, DialError::Deadline(SHORT)) && error.is_retryable());
}

#[tokio::test]
async fn under_load_an_address_must_prove_itself_first() {
    let mesh = Mesh::new();
    let listener = listener(&mesh, Limits::default(), Admission { retry_above: 0, refuse_above: 9 });
    let to = to(listener.local_addr().unwrap(), &mesh, Limits::default());
    // It is let in only after a Retry: with `retry_above` 0 no other attempt reaches `finish`.
    let (accepted, dialed) = attempt(&listener, &to).await;
    assert!(accepted.is_ok() && dialed.is_ok());
}

#[tokio::test]
async fn above_the_last_bound_everyone_is_refused_at_once() {
    let mesh = Mesh::new();
    let listener = listener(&mesh, Limits::default(), Admission { retry_above: 0, refuse_above: 0 });
    let to = to(listener.local_addr().unwrap(), &mesh, Limits::default());
    let refused = tokio::select! {
        refused = dial(&to) => refused.unwrap_err(),
        _ = listener.accept() => unreachable!(),
    };
    assert!(matches!(refused, DialError::Handshake(_, Closed::Lost(_))) && refused.is_retryable());
}

#[tokio::test]
async fn a_stopped_listener_lets_nobody_in_and_keeps_its_tunnels() {
    let mesh = Mesh::new();
    let listener = listener(&mesh, Limits::default(), Admission::default());
    let to = to(listener.local_addr().unwrap(), &mesh, Limits::default());
    let (tunnel, _replica) = attempt(&listener, &to).await;
    listener.stop();
    assert!(dial(&Dial { deadline: SHORT, ..to }).await.is_err());
    assert_eq!(tunnel.unwrap().close_reason(), None);
}

#[tokio::test]
async fn a_handshake_can_be_finished_on_another_runtime() {
    let mesh = Mesh::new();
    let listener = listener(&mesh, Limits::default(), Admission::default());
    let to = to(listener.local_addr().unwrap(), &mesh, Limits::default());
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let elsewhere = async {
        let handshaking = listener.accept().await.unwrap();
        other.handle().spawn(handshaking.finish(LONG)).await.unwrap().unwrap()
    };
    let (broker, replica) = tokio::join!(elsewhere, dial(&to));
    let pair = Pair { broker, replica: replica.unwrap(), listener };
    assert_eq!(pair.broker.open_streams(), 0);
    drop(pair.stream().await);
    other.shutdown_background();
}

#[tokio::test]
async fn a_restarted_broker_with_the_same_key_resets_forgotten_tunnels() {
    let mesh = Mesh::new();
    let before = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = {
        let _context = before.enter();
        listener(&mesh, Limits::default(), Admission::default())
    };
    let address = first.local_addr().unwrap();
    let to = to(address, &mesh, Limits::default());
    let accepted = async {
        let handshaking = first.accept().await.unwrap();
        before.handle().spawn(handshaking.finish(LONG)).await.unwrap().unwrap()
    };
    let (broker, replica) = tokio::join!(accepted, dial(&to));
    let pair = Pair { broker, replica: replica.unwrap(), listener: first };
    let (_opened, accepted) = pair.stream().await;
    // As kill -9: nothing of it runs any more, and nobody is told.
    tokio::task::spawn_blocking(move || before.shutdown_timeout(LONG)).await.unwrap();
    let Pair { replica, broker, listener: first } = pair;
    let rebind = || {
        let tls = server_tls(&mesh, &mesh.broker());
        Listener::bind(address, tls, &ResetKey::new([7; 32]), Limits::default(), Admission::default())
    };
    drop((broker, first, _opened));
    let _second = loop {
        match rebind() {
            Ok(second) => break second,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let (_, mut send) = accepted.split();
    let wrote = tokio::io::AsyncWriteExt::write_all(&mut send, b"are you there").await;
    assert!(wrote.is_ok());
    assert!(matches!(timeout(LONG, replica.closed()).await, Ok(Closed::Lost(_))));
}
