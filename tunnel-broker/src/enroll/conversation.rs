//! One connection's asks and their answers, without I/O but the database's.

use bytes::BytesMut;
use tracing::{debug, info};
use tunnel_protos::{
    UnixMillis, strict,
    v1::{EnrollReply, EnrollRequest, enroll_reply, enroll_request},
};
use tunnel_transport::frame;

use super::{Enroll, redeem::Presented, refusal::Refusal, reissue::Challenged, server::FRAME_CAP};
use crate::metrics;

/// What one connection has asked so far.
pub(super) struct Conversation<'e> {
    enroll: &'e Enroll,
    challenged: Option<Challenged>,
}

impl<'e> Conversation<'e> {
    /// Nothing was asked yet.
    pub(super) fn new(enroll: &'e Enroll) -> Self {
        Self { enroll, challenged: None }
    }

    /// Reads an ask; an unknown field refuses it, since the answer would be to something else.
    pub(super) fn read(frame: &[u8]) -> Option<enroll_request::Body> {
        let ask: EnrollRequest = strict::decode("postern.v1.EnrollRequest", frame).ok()?;
        ask.body
    }

    /// Answers one ask, counts it, and logs what an administrator would want to know.
    pub(super) async fn answer(&mut self, ask: &enroll_request::Body, now: UnixMillis) -> EnrollReply {
        let kind = kind(ask);
        let answered = self.try_answer(ask, now).await;
        metrics::enrollment(kind, answered.as_ref().map_or_else(|refusal| refusal.as_str(), |_| "ok"));
        match answered {
            Ok(body) => EnrollReply { body: Some(body) },
            Err(refusal) => {
                tell(kind, refusal);
                refused(refusal)
            }
        }
    }

    async fn try_answer(
        &mut self,
        ask: &enroll_request::Body,
        now: UnixMillis,
    ) -> Result<enroll_reply::Body, Refusal> {
        use enroll_request::Body;
        // A challenge does not outlive the next ask, whatever that is.
        let challenged = self.challenged.take();
        match ask {
            Body::Redeem(ask) => self.enroll.redeem(ask, now).await.map(enroll_reply::Body::Issued),
            Body::Join(ask) => self.enroll.join(ask, now).await.map(enroll_reply::Body::Issued),
            Body::Challenge(ask) => {
                let challenged = self.enroll.challenge(ask, now).await?;
                let message = challenged.message();
                self.challenged = Some(challenged);
                Ok(enroll_reply::Body::Challenge(message))
            }
            Body::Reissue(ask) => {
                self.enroll.reissue(ask, challenged, now).await.map(enroll_reply::Body::Issued)
            }
            Body::TrustBundle(_) => {
                Ok(enroll_reply::Body::TrustBundle(self.enroll.trusted().envelope.clone()))
            }
        }
    }
}

/// Reads strangers' frames as the broker does, for a fuzzer: the ask, and what of it is proven without a database.
#[doc(hidden)]
pub fn fuzz_enroll_frames(bytes: &[u8]) -> bool {
    let (mut buffer, mut presented) = (BytesMut::from(bytes), false);
    while let Ok(Some(frame)) = frame::decode(&mut buffer, FRAME_CAP) {
        if let Some(enroll_request::Body::Redeem(ask)) = Conversation::read(&frame) {
            presented |= Presented::read(&ask).is_ok();
        }
    }
    presented
}

/// A refusal as it travels.
pub(super) fn refused(refusal: Refusal) -> EnrollReply {
    EnrollReply { body: Some(enroll_reply::Body::Refused(refusal.message())) }
}

/// Whoever was proven and is refused may be a thief; what strangers try is noise that could fill the log.
fn tell(kind: &'static str, refusal: Refusal) {
    match refusal {
        Refusal::Used | Refusal::Expired | Refusal::Banned => {
            info!(kind, reason = refusal.as_str(), "Enrollment refused");
        }
        Refusal::Unknown | Refusal::Unproven | Refusal::Malformed | Refusal::Busy => {
            debug!(kind, reason = refusal.as_str(), "Enrollment refused");
        }
    }
}

fn kind(ask: &enroll_request::Body) -> &'static str {
    use enroll_request::Body;
    match ask {
        Body::Redeem(_) => "redeem",
        Body::Join(_) => "join",
        Body::Challenge(_) => "challenge",
        Body::Reissue(_) => "reissue",
        Body::TrustBundle(_) => "trust_bundle",
    }
}
