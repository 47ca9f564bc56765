//! One reflection call: answered here, within the session, and never forwarded.
//!
//! Bytes are credited to the operator only when their message is answered, so that calls which only send stay
//! within the connection's window.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use prost::Message;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;

use super::{
    Reflection,
    messages::{Messages, framed},
};
use crate::gate::{answer::Answer, cut::Cut, ledger::Ledger, pipe, relay::Failure, status::Refusal};

/// A reflection call that was let through.
pub(in crate::gate) struct Reflect {
    pub(in crate::gate) reflection: Arc<Reflection>,
    pub(in crate::gate) body: RecvStream,
    pub(in crate::gate) timeout: Duration,
    pub(in crate::gate) ledger: Ledger,
    pub(in crate::gate) cut: Cut,
}

impl Reflect {
    /// Answers until the operator ends the call.
    pub(in crate::gate) async fn run(mut self, answer: &mut Answer) -> Result<(), Failure> {
        let (deadline, cut, ledger) = (self.timeout, self.cut.clone(), self.ledger.clone());
        let ended = timeout(deadline, cut.unless(self.serve(answer))).await;
        let ended = ended.unwrap_or(Err(Failure::Refuse(Refusal::Deadline)));
        let code = match &ended {
            Ok(()) => Code::Ok,
            Err(Failure::Refuse(refusal)) => refusal.code(),
            Err(Failure::Reset(_) | Failure::Gone) => Code::Cancelled,
        };
        ledger.finish(code);
        ended
    }

    async fn serve(&mut self, answer: &mut Answer) -> Result<(), Failure> {
        answer.start(head(), false)?;
        let (mut messages, mut uncredited) = (Messages::default(), 0);
        while let Some(chunk) = answer.unless_reset(self.chunk()).await? {
            self.ledger.add_up(chunk.len());
            messages.push(&chunk);
            while let Some(message) = messages.next().map_err(|_| Refusal::Reflection)? {
                self.reply(&message, answer).await?;
            }
            let answered = uncredited + chunk.len() - messages.waiting();
            uncredited = messages.waiting();
            // An error here is a connection that is over, which the next read says.
            let _ = self.body.flow_control().release_capacity(answered);
        }
        messages.end().map_err(|_| Refusal::Reflection)?;
        Ok(answer.finish(ok())?)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        // The source is the operator here: whatever fails, nobody is left to tell.
        pipe::chunk(&mut self.body).await.map_err(|_| Failure::Gone)
    }

    async fn reply(&self, message: &[u8], answer: &mut Answer) -> Result<(), Failure> {
        let request = ServerReflectionRequest::decode(message).map_err(|_| Refusal::Reflection)?;
        let reply = framed(&self.reflection.answer(request));
        self.ledger.add_down(reply.len())?;
        Ok(answer.send(reply).await?)
    }
}

fn head() -> Response<()> {
    let mut head = Response::new(());
    head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head
}

fn ok() -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Without message and details there is nothing that could not be a header.
    let _ = Status::ok("").add_header(&mut headers);
    headers
}
