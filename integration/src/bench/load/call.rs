//! gRPC calls on a bare HTTP/2 stream.

use std::future::poll_fn;

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Request, Response};

/// A call to one method, made once and cloned for each use.
#[derive(Clone)]
pub(super) struct Call(Request<()>);

impl Call {
    /// A call of `package.Service/Method` at `authority`.
    pub(super) fn new(authority: &str, method: &str) -> Result<Self> {
        let request = Request::post(format!("https://{authority}/{method}"))
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        Ok(Self(request))
    }

    /// Sends one framed message and reads the answer to its end; returns the bytes received.
    pub(super) async fn unary(&self, sender: SendRequest<Bytes>, message: Bytes) -> Result<u64> {
        let mut sender = sender.ready().await?;
        let (response, mut body) = sender.send_request(self.0.clone(), false)?;
        body.send_data(message, true)?;
        drain(response.await?).await
    }

    /// Sends the framed messages one after the other, as flow control allows; returns the bytes received.
    pub(super) async fn client_stream(
        &self,
        sender: SendRequest<Bytes>,
        messages: impl Iterator<Item = Bytes>,
    ) -> Result<u64> {
        let mut sender = sender.ready().await?;
        let (response, mut body) = sender.send_request(self.0.clone(), false)?;
        for message in messages {
            send(&mut body, message).await?;
        }
        body.send_data(Bytes::new(), true)?;
        drain(response.await?).await
    }
}

/// `payload` as protobuf field 1 (length-delimited) in one uncompressed gRPC frame.
pub(super) fn framed_field_one(payload: &[u8]) -> Bytes {
    let mut message = BytesMut::new();
    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut message);
    prost::encoding::encode_varint(payload.len() as u64, &mut message);
    message.put_slice(payload);
    framed(&message)
}

/// `message` in one uncompressed gRPC frame.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("the load generator's messages are far below 4 GiB"));
    frame.put_slice(message);
    frame.freeze()
}

async fn send(body: &mut SendStream<Bytes>, mut data: Bytes) -> Result<()> {
    while !data.is_empty() {
        body.reserve_capacity(data.len());
        let granted = poll_fn(|cx| body.poll_capacity(cx)).await.context("stream closed by peer")??;
        let part = data.split_to(granted.min(data.len()));
        body.send_data(part, false)?;
    }
    Ok(())
}

async fn drain(response: Response<RecvStream>) -> Result<u64> {
    let (head, mut body) = response.into_parts();
    ensure!(head.status == 200, "HTTP status {}", head.status);
    let mut received = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        received += data.len() as u64;
        body.flow_control().release_capacity(data.len())?;
    }
    let trailers = body.trailers().await?;
    check_status(trailers.as_ref().unwrap_or(&head.headers))?;
    Ok(received)
}

fn check_status(trailers: &HeaderMap) -> Result<()> {
    let text = |name| trailers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    match text("grpc-status").as_deref() {
        Some("0") => Ok(()),
        status => bail!("grpc-status {status:?}, grpc-message {:?}", text("grpc-message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_a_field_as_protobuf_and_grpc_do() {
        assert_eq!(framed_field_one(b"ab").as_ref(), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
    }

    #[test]
    fn a_call_without_status_zero_is_an_error() {
        let mut trailers = HeaderMap::new();
        assert!(check_status(&trailers).is_err());
        trailers.insert("grpc-status", http::HeaderValue::from_static("7"));
        assert!(check_status(&trailers).is_err());
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        assert!(check_status(&trailers).is_ok());
    }
}
