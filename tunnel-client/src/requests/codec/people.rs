//! The stored form of what people did to a request.

use prost::Message;
use tunnel_protos::{UnixMillis, v1};

use super::DecodeError;
use crate::requests::record::{Notice, Proof, Revocation, Verdict};

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredVerdict {
    #[prost(string, tag = "1")]
    who: String,
    #[prost(enumeration = "v1::Answer", tag = "2")]
    answer: i32,
    #[prost(int64, tag = "3")]
    time_ms: i64,
    #[prost(string, tag = "4")]
    note: String,
    #[prost(message, optional, tag = "5")]
    proof: Option<StoredProof>,
    #[prost(bool, tag = "6")]
    void: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::requests) struct StoredProof {
    #[prost(bytes = "vec", tag = "1")]
    digest: Vec<u8>,
    #[prost(int64, tag = "2")]
    forget_after_ms: i64,
    #[prost(bytes = "vec", tag = "3")]
    envelope: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredNotice {
    #[prost(string, tag = "1")]
    who: String,
    #[prost(int64, tag = "2")]
    time_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredRevocation {
    // Of the first stores, which knew no names.
    #[prost(uint32, tag = "1")]
    uid: u32,
    #[prost(string, tag = "2")]
    note: String,
    #[prost(string, tag = "3")]
    who: String,
}

impl From<&Verdict> for StoredVerdict {
    fn from(verdict: &Verdict) -> Self {
        Self {
            who: verdict.who.clone(),
            answer: verdict.answer.into(),
            time_ms: verdict.time.0,
            note: verdict.note.clone(),
            proof: verdict.proof.as_ref().map(StoredProof::from),
            void: verdict.void,
        }
    }
}

impl StoredVerdict {
    pub(super) fn verdict(self) -> Result<Verdict, DecodeError> {
        Ok(Verdict {
            answer: match self.answer() {
                v1::Answer::Unspecified => return Err(DecodeError::Field("answer")),
                answer => answer,
            },
            who: self.who,
            time: UnixMillis(self.time_ms),
            note: self.note,
            proof: self.proof.map(StoredProof::proof).transpose()?,
            void: self.void,
        })
    }
}

impl From<&Proof> for StoredProof {
    fn from(proof: &Proof) -> Self {
        Self {
            digest: proof.digest.as_bytes().to_vec(),
            forget_after_ms: proof.forget_after.0,
            envelope: proof.envelope.clone(),
        }
    }
}

impl StoredProof {
    pub(in crate::requests) fn proof(self) -> Result<Proof, DecodeError> {
        Ok(Proof {
            digest: self.digest[..].try_into().map_err(|_| DecodeError::Field("approval's digest"))?,
            forget_after: UnixMillis(self.forget_after_ms),
            envelope: self.envelope,
        })
    }
}

impl From<&Notice> for StoredNotice {
    fn from(notice: &Notice) -> Self {
        Self { who: notice.who.clone(), time_ms: notice.time.0 }
    }
}

impl StoredNotice {
    pub(super) fn notice(self) -> Notice {
        Notice { who: self.who, time: UnixMillis(self.time_ms) }
    }
}

impl From<&Revocation> for StoredRevocation {
    fn from(revocation: &Revocation) -> Self {
        Self { uid: 0, note: revocation.note.clone(), who: revocation.who.clone() }
    }
}

impl StoredRevocation {
    pub(super) fn revocation(self) -> Revocation {
        let who = if self.who.is_empty() { format!("uid {}", self.uid) } else { self.who };
        Revocation { who, note: self.note }
    }
}
