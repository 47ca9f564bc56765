//! The bidirectional stream: each command is answered before the next is read, so a caller who does not read is
//! slowed down by flow control alone.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use super::{kv, store::Store};
use crate::generated::admin::v1::{
    SessionRequest, SessionResponse, session_request::Command, session_response::Result as Answer,
};

/// Answers of a session.
pub(super) type SessionStream = Pin<Box<dyn Stream<Item = Result<SessionResponse, Status>> + Send>>;

pub(super) fn answer(store: Arc<Store>, commands: Streaming<SessionRequest>) -> SessionStream {
    commands.map(move |request| request.and_then(|request| obey(&store, request))).boxed()
}

fn obey(store: &Store, request: SessionRequest) -> Result<SessionResponse, Status> {
    let result = match request.command {
        None => return Err(Status::invalid_argument("a session request without a command")),
        Some(Command::Ping(payload)) => Answer::Pong(payload),
        Some(Command::Put(put)) => Answer::Put(kv::put(store, put)?),
        Some(Command::Get(get)) => Answer::Get(kv::get(store, &get)?),
    };
    Ok(SessionResponse { sequence: request.sequence, result: Some(result) })
}
