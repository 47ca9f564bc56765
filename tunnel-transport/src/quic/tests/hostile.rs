//! Peers that hold a good certificate and break the rules, made of quinn alone.

use std::sync::Arc;

use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use tokio::time::timeout;
use tunnel_protos::v1;

use super::*;
use crate::{AcceptError, Incoming, frame::HEADER_CAP, header::HeaderError};

/// A broker that writes what it likes.
struct Hostile {
    connection: quinn::Connection,
    replica: Tunnel,
    _endpoint: Endpoint,
}

fn endpoint(server: Option<quinn::ServerConfig>) -> Endpoint {
    let socket = std::net::UdpSocket::bind(LOOPBACK).unwrap();
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime)).unwrap()
}

impl Hostile {
    async fn new() -> Self {
        let (mesh, limits) = (Mesh::new(), Limits::default());
        let endpoint = endpoint(Some(
            config::server(&server_tls(&mesh, &mesh.broker()), &limits, farewell::Closing::default())
                .unwrap(),
        ));
        let to = to(endpoint.local_addr().unwrap(), &mesh, limits);
        let accepted = async { endpoint.accept().await.unwrap().await.unwrap() };
        let (connection, replica) = tokio::join!(accepted, dial(&to));
        Self { connection, replica: replica.unwrap(), _endpoint: endpoint }
    }

    /// Opens a stream with these bytes.
    async fn write(&self, bytes: &[u8]) -> (quinn::SendStream, quinn::RecvStream, Incoming) {
        let (mut send, recv) = self.connection.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        (send, recv, self.replica.accept().await.unwrap())
    }

    /// The error that these bytes lead to, after the same code was seen on both halves.
    async fn refused(&self, bytes: &[u8], deadline: Duration, finish: bool) -> AcceptError {
        let (mut send, mut recv, incoming) = self.write(bytes).await;
        if finish {
            send.finish().unwrap();
        }
        let error = incoming.header(deadline).await.unwrap_err();
        let code = quinn::VarInt::from_u32(error.code().number());
        assert_eq!(recv.read(&mut [0; 1]).await, Err(quinn::ReadError::Reset(code)));
        error
    }
}

#[tokio::test]
async fn an_oversized_header_is_refused_before_it_comes() {
    let hostile = Hostile::new().await;
    for length in [HEADER_CAP as u32 + 1, u32::MAX] {
        let error = hostile.refused(&length.to_be_bytes(), LONG, false).await;
        assert_eq!(error.code(), Code::TooLarge);
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_is_given_up() {
    let hostile = Hostile::new().await;
    for start in [&[0][..], &[0, 0, 0, 9], &[0, 0, 0, 9, 8]] {
        let error = hostile.refused(start, SHORT, false).await;
        assert!(matches!(error, AcceptError::Deadline(SHORT)), "{error}");
    }
}

#[tokio::test]
async fn a_truncated_header_is_refused() {
    let hostile = Hostile::new().await;
    for start in [&[0, 0][..], &[0, 0, 0, 9, 8]] {
        let error = hostile.refused(start, LONG, true).await;
        assert!(matches!(error, AcceptError::Ended(_)), "{error}");
    }
}

#[tokio::test]
async fn a_malformed_header_is_refused() {
    let hostile = Hostile::new().await;
    let error = hostile.refused(&[0, 0, 0, 2, 0xff, 0xff], LONG, false).await;
    assert!(matches!(error, AcceptError::Header(HeaderError::Decode(_))), "{error}");
    let no_door = v1::Header { kind: v1::StreamKind::Session.into(), ..Default::default() };
    let frame = crate::frame::encode(&no_door, HEADER_CAP).unwrap();
    let error = hostile.refused(&frame, LONG, false).await;
    assert!(matches!(error, AcceptError::Header(HeaderError::Field("door"))), "{error}");
}

#[tokio::test]
async fn a_stream_of_unknown_kind_is_refused() {
    let hostile = Hostile::new().await;
    let frame = crate::frame::encode(&v1::Header { kind: 77, ..Default::default() }, HEADER_CAP).unwrap();
    assert_eq!(hostile.refused(&frame, LONG, false).await.code(), Code::UnknownKind);
}

#[tokio::test]
async fn a_slow_stream_holds_up_no_other() {
    let hostile = Hostile::new().await;
    let (_send, _recv, slow) = hostile.write(&[0]).await;
    let good = hostile.write(&session().encode().unwrap()).await;
    assert!(good.2.header(LONG).await.is_ok());
    drop(slow);
}

#[tokio::test]
async fn an_answer_that_is_neither_yes_nor_no_is_a_protocol_error() {
    let pair = Pair::new().await;
    let (header, answer) = (session(), [0x01]);
    let wrong = async {
        let (mut send, recv) = match pair.replica.accept_raw().await {
            (crate::carrier::CarrierSend::Quic(send), crate::carrier::CarrierRecv::Quic(recv)) => {
                (send, recv)
            }
        };
        send.write_all(&answer).await.unwrap();
        (send, recv)
    };
    let (opened, _stream) = tokio::join!(pair.broker.open(&header, LONG), wrong);
    assert_eq!(opened.unwrap_err(), crate::OpenError::Protocol);
}

#[tokio::test]
async fn a_replica_can_open_no_stream() {
    let (mesh, limits) = (Mesh::new(), Limits::default());
    let listener = listener(&mesh, limits, Admission::default());
    let mut endpoint = endpoint(None);
    endpoint.set_default_client_config(config::client(&client_tls(&mesh, &mesh.replica()), &limits).unwrap());
    let connecting = endpoint.connect(listener.local_addr().unwrap(), "broker.tunnel.example").unwrap();
    let accepted = async { listener.accept().await.unwrap().finish(LONG).await.unwrap() };
    let (_tunnel, connection) = tokio::join!(accepted, connecting);
    let connection = connection.unwrap();
    assert!(timeout(SHORT, connection.open_bi()).await.is_err());
    assert!(timeout(SHORT, connection.open_uni()).await.is_err());
    assert!(connection.max_datagram_size().is_none());
}
