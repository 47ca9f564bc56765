//! The stored form of an operation: what was asked, and the plan exactly as its digest covers it.

use std::sync::Arc;

use prost::Message;
use tunnel_certs::statement::request::Operation;
use tunnel_protos::v1;

use super::{DecodeError, StoredAccess};
use crate::{operations::Planned, requests::record::Operating};

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredOperation {
    #[prost(message, optional, tag = "1")]
    asked: Option<v1::OperationRequest>,
    // Empty while it is being made.
    #[prost(bytes = "vec", tag = "2")]
    plan: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    grant: Option<StoredAccess>,
    #[prost(string, optional, tag = "4")]
    stop: Option<String>,
    #[prost(bool, tag = "5")]
    cut: bool,
    #[prost(string, optional, tag = "6")]
    refused: Option<String>,
    // Of a plan that was dropped.
    #[prost(bytes = "vec", tag = "7")]
    dropped: Vec<u8>,
    #[prost(string, tag = "8")]
    cut_why: String,
}

impl From<&Operating> for StoredOperation {
    fn from(operation: &Operating) -> Self {
        let planned = operation.planned.as_ref();
        let dropped = planned.filter(|planned| planned.is_dropped());
        Self {
            asked: Some(operation.asked.to_message()),
            plan: planned.map(|planned| planned.bytes.clone()).unwrap_or_default(),
            dropped: dropped.map(|planned| planned.digest().to_vec()).unwrap_or_default(),
            grant: Some(StoredAccess::from(&operation.grant)),
            stop: operation.stop.clone(),
            cut: operation.cut.is_some(),
            cut_why: operation.cut.clone().unwrap_or_default(),
            refused: operation.refused.clone(),
        }
    }
}

impl StoredOperation {
    fn planned(&self, asked: &Operation) -> Result<Option<Planned>, DecodeError> {
        if !self.plan.is_empty() {
            return Planned::read(self.plan.clone(), asked).map(Some).map_err(|_| DecodeError::Field("plan"));
        }
        match &self.dropped[..] {
            [] => Ok(None),
            digest => {
                let digest = digest.try_into().map_err(|_| DecodeError::Field("plan's digest"))?;
                Ok(Some(Planned::dropped(digest, asked)))
            }
        }
    }

    pub(super) fn operating(&self) -> Result<Operating, DecodeError> {
        let asked = self.asked.clone().map(Operation::read);
        let asked = asked.and_then(Result::ok).ok_or(DecodeError::Field("operation"))?;
        let planned = self.planned(&asked)?;
        let grant = self.grant.as_ref().ok_or(DecodeError::Field("operation's grant"))?;
        Ok(Operating {
            planned: planned.map(Arc::new),
            grant: grant.access()?,
            stop: self.stop.clone(),
            cut: self.cut.then(|| self.cut_why.clone()),
            refused: self.refused.clone(),
            asked: Arc::new(asked),
        })
    }
}
