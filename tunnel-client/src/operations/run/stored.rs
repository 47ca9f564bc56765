//! A run as the store keeps it. Fields are only ever added: what was written yesterday must be read tomorrow.

use prost::Message;
use tunnel_protos::{
    Digest, UnixMillis,
    operations::v1::{Event, Plan, StepStatus},
    v1::RequestState,
};

use super::{Cause, Marks, Phase, Run, Way};
use crate::operations::RunState;

/// A stored run that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not an encoding of a run.
    #[error("not a stored run")]
    Malformed(#[source] prost::DecodeError),
    /// A field outside its grammar.
    #[error("a stored run's {0} is malformed")]
    Field(&'static str),
}

/// The stored form of a run.
pub(in crate::operations) fn encode(run: &Run) -> Vec<u8> {
    Stored::from(run).encode_to_vec()
}

/// The run that was stored.
pub(in crate::operations) fn decode(bytes: &[u8]) -> Result<Run, DecodeError> {
    Stored::decode(bytes).map_err(DecodeError::Malformed)?.run()
}

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bytes = "vec", tag = "2")]
    digest: Vec<u8>,
    #[prost(string, tag = "3")]
    operator: String,
    #[prost(bytes = "vec", tag = "4")]
    plan: Vec<u8>,
    #[prost(enumeration = "RequestState", tag = "5")]
    state: i32,
    #[prost(string, tag = "6")]
    why: String,
    #[prost(uint32, tag = "7")]
    phase: u32,
    #[prost(bool, tag = "8")]
    back: bool,
    #[prost(uint32, tag = "9")]
    at: u32,
    #[prost(string, tag = "10")]
    cause: String,
    #[prost(bool, tag = "11")]
    cancelled: bool,
    #[prost(btree_map = "string, string", tag = "12")]
    marks: Marks,
    #[prost(uint32, tag = "13")]
    attempts: u32,
    #[prost(message, repeated, tag = "14")]
    steps: Vec<StepStatus>,
    #[prost(message, repeated, tag = "15")]
    events: Vec<Event>,
    #[prost(int64, tag = "16")]
    started_ms: i64,
    #[prost(int64, tag = "17")]
    ended_ms: i64,
    /// Counted from 1; 0 for none.
    #[prost(uint32, tag = "18")]
    unsure: u32,
}

impl From<&Run> for Stored {
    fn from(run: &Run) -> Self {
        let cause = run.cause.clone();
        Self {
            id: run.id.to_string(),
            digest: run.digest.as_bytes().to_vec(),
            operator: run.operator.to_string(),
            plan: run.bytes.clone(),
            state: run.state.to_message().into(),
            why: run.why.clone(),
            phase: run.phase as u32,
            back: run.way == Way::Back,
            at: u32::try_from(run.at).unwrap_or(u32::MAX),
            cancelled: cause.as_ref().is_some_and(|cause| cause.cancelled),
            cause: cause.map(|cause| cause.why).unwrap_or_default(),
            marks: run.marks.clone(),
            unsure: run.unsure.map_or(0, |at| u32::try_from(at + 1).unwrap_or(u32::MAX)),
            attempts: run.attempts,
            steps: run.steps.clone(),
            events: run.events.clone(),
            started_ms: run.started.0,
            ended_ms: run.ended.map_or(0, |ended| ended.0),
        }
    }
}

impl Stored {
    fn run(self) -> Result<Run, DecodeError> {
        let plan = Plan::decode(&self.plan[..]).map_err(DecodeError::Malformed)?;
        let phase = phase(self.phase).ok_or(DecodeError::Field("phase"))?;
        let (at, steps) = (usize::try_from(self.at).unwrap_or(usize::MAX), plan.steps.len());
        if self.steps.len() != steps || (at >= steps && phase != Phase::Over) {
            return Err(DecodeError::Field("steps"));
        }
        let cause = Cause { cancelled: self.cancelled, why: self.cause.clone() };
        Ok(Run {
            id: self.id.parse().map_err(|_| DecodeError::Field("id"))?,
            digest: Digest::try_from(&self.digest[..]).map_err(|_| DecodeError::Field("digest"))?,
            operator: self.operator.parse().map_err(|_| DecodeError::Field("operator"))?,
            state: RunState::from_message(self.state()).ok_or(DecodeError::Field("state"))?,
            cause: (!self.cause.is_empty()).then_some(cause),
            way: if self.back { Way::Back } else { Way::Forth },
            ended: (self.ended_ms > 0).then_some(UnixMillis(self.ended_ms)),
            started: UnixMillis(self.started_ms),
            bytes: self.plan,
            why: self.why,
            marks: self.marks,
            unsure: usize::try_from(self.unsure).unwrap_or(usize::MAX).checked_sub(1),
            attempts: self.attempts,
            steps: self.steps,
            events: self.events,
            phase,
            at,
            plan,
        })
    }
}

fn phase(number: u32) -> Option<Phase> {
    [Phase::Next, Phase::Called, Phase::Gate, Phase::Over].into_iter().find(|phase| *phase as u32 == number)
}
