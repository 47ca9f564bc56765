//! One connection to a broker's enrollment: TLS in which only the broker shows a certificate, frames with deadlines.
//!
//! Invariant: what a broker sends is bounded and believed nothing; whether it is good is for those who asked.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use prost::Message;
use rustls::{CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tunnel_protos::v1::{
    EnrollRefusal, EnrollReply, EnrollRequest, enroll_reply::Body as Reply, enroll_request::Body as Ask,
};
use tunnel_transport::frame::{self, FrameError};

use crate::tunnels::host;

/// An open connection.
pub(super) struct Door {
    stream: TlsStream<TcpStream>,
    deadline: Duration,
}

/// Why a broker did not answer, or said no.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    #[error("cannot reach {0} over TCP")]
    Connect(String, #[source] io::Error),
    #[error("the handshake with {0}{hint}", hint = about_time(.1))]
    Handshake(String, #[source] io::Error),
    #[error("the broker did not {0} in time")]
    Late(&'static str),
    #[error("the connection to the broker")]
    Io(#[source] io::Error),
    #[error("the broker's answer")]
    Frame(#[source] FrameError),
    #[error("the broker's answer is malformed")]
    Malformed,
    #[error("{}", said(*.0))]
    Refused(EnrollRefusal),
}

impl DoorError {
    /// Whether the broker says that this way will not work, however often it is tried.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Refused(reason) => match reason {
                EnrollRefusal::Unknown
                | EnrollRefusal::Expired
                | EnrollRefusal::Used
                | EnrollRefusal::Banned
                | EnrollRefusal::Unproven
                | EnrollRefusal::Malformed => true,
                EnrollRefusal::Unspecified | EnrollRefusal::Busy => false,
            },
            Self::Connect(..)
            | Self::Handshake(..)
            | Self::Late(_)
            | Self::Io(_)
            | Self::Frame(_)
            | Self::Malformed => false,
        }
    }

    /// Whether the broker showed a certificate of a CA that is not trusted here: roots may have been replaced.
    pub(super) fn is_unknown_issuer(&self) -> bool {
        matches!(self, Self::Handshake(_, error) if certificate(error) == Some(CertificateError::UnknownIssuer))
    }
}

impl Door {
    /// Connects and shakes hands, each within `deadline`.
    pub(super) async fn open(
        address: &str,
        tls: Arc<ClientConfig>,
        deadline: Duration,
    ) -> Result<Self, DoorError> {
        let connecting = timeout(deadline, TcpStream::connect(address)).await;
        let connected = connecting.map_err(|_| DoorError::Late("answer over TCP"))?;
        let tcp = connected.map_err(|error| DoorError::Connect(address.to_owned(), error))?;
        let failed = |error| DoorError::Handshake(address.to_owned(), error);
        let name = ServerName::try_from(host(address).to_owned())
            .map_err(|error| failed(io::Error::other(error)))?;
        let shaking = timeout(deadline, TlsConnector::from(tls).connect(name, tcp)).await;
        let stream = shaking.map_err(|_| DoorError::Late("shake hands"))?.map_err(failed)?;
        if stream.get_ref().1.alpn_protocol() != Some(tunnel_certs::tls::ENROLL_ALPN) {
            return Err(failed(io::Error::other("the broker does not speak enrollment")));
        }
        Ok(Self { stream, deadline })
    }

    /// Asks once; a refusal is an error.
    pub(super) async fn ask(&mut self, ask: Ask) -> Result<Reply, DoorError> {
        let frame = frame::encode(&EnrollRequest { body: Some(ask) }, CAP).map_err(DoorError::Frame)?;
        let deadline = self.deadline;
        let answered = timeout(deadline, async {
            self.stream.write_all(&frame).await.map_err(DoorError::Io)?;
            self.stream.flush().await.map_err(DoorError::Io)?;
            self.answer().await
        });
        match answered.await.map_err(|_| DoorError::Late("answer"))??.body {
            Some(Reply::Refused(refused)) => Err(DoorError::Refused(refused.reason())),
            Some(reply) => Ok(reply),
            None => Err(DoorError::Malformed),
        }
    }

    async fn answer(&mut self) -> Result<EnrollReply, DoorError> {
        let mut buffer = BytesMut::new();
        loop {
            if let Some(frame) = frame::decode(&mut buffer, CAP).map_err(DoorError::Frame)? {
                return EnrollReply::decode(frame).map_err(|_| DoorError::Malformed);
            }
            if self.stream.read_buf(&mut buffer).await.map_err(DoorError::Io)? == 0 {
                return Err(DoorError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// A certificate out of its time is more often a wrong clock here than a careless vendor.
fn about_time(error: &io::Error) -> &'static str {
    use CertificateError as Wrong;
    match certificate(error) {
        Some(
            Wrong::NotValidYet
            | Wrong::NotValidYetContext { .. }
            | Wrong::Expired
            | Wrong::ExpiredContext { .. },
        ) => " (is this machine's clock right?)",
        _ => "",
    }
}

/// What a refusal means for the customer; the broker's own text is not believed to say it.
fn said(reason: EnrollRefusal) -> &'static str {
    match reason {
        EnrollRefusal::Unknown => {
            "the vendor's brokers do not know the enrollment token: it was revoked, or is another vendor's"
        }
        EnrollRefusal::Expired => "the enrollment token has expired",
        EnrollRefusal::Used => {
            "the enrollment token was used before, by other keys than this client's: if that was not you, \
                                tell the vendor's administrator at once"
        }
        EnrollRefusal::Banned => "the vendor has banned this replica or its cluster",
        EnrollRefusal::Unproven => "the vendor's brokers do not take the proof of this replica",
        EnrollRefusal::Malformed => {
            "the vendor's brokers do not understand this client; are the versions far apart?"
        }
        EnrollRefusal::Busy => "the vendor's brokers are busy",
        EnrollRefusal::Unspecified => "the vendor's brokers refuse without a reason",
    }
}

fn certificate(error: &io::Error) -> Option<CertificateError> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(error) => Some(error.clone()),
        _ => None,
    }
}

/// As the protocol has it.
const CAP: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_broker_says_for_good_is_final() {
        for (reason, ends) in [
            (EnrollRefusal::Unspecified, false),
            (EnrollRefusal::Unknown, true),
            (EnrollRefusal::Expired, true),
            (EnrollRefusal::Used, true),
            (EnrollRefusal::Banned, true),
            (EnrollRefusal::Unproven, true),
            (EnrollRefusal::Malformed, true),
            (EnrollRefusal::Busy, false),
        ] {
            assert_eq!(DoorError::Refused(reason).is_final(), ends, "{reason:?}");
        }
        let io = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let others = [
            DoorError::Connect("b".into(), io()),
            DoorError::Handshake("b".into(), io()),
            DoorError::Late("answer"),
            DoorError::Io(io()),
            DoorError::Frame(FrameError::TooLarge { length: 1, cap: 0 }),
            DoorError::Malformed,
        ];
        assert!(others.iter().all(|error| !error.is_final() && !error.is_unknown_issuer()));
    }
}
