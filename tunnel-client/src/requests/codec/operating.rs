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
}

impl From<&Operating> for StoredOperation {
    fn from(operation: &Operating) -> Self {
        Self {
            asked: Some(operation.asked.to_message()),
            plan: operation.planned.as_ref().map(|planned| planned.bytes.clone()).unwrap_or_default(),
            grant: Some(StoredAccess::from(&operation.grant)),
            stop: operation.stop.clone(),
            cut: operation.cut,
            refused: operation.refused.clone(),
        }
    }
}

impl StoredOperation {
    pub(super) fn operating(&self) -> Result<Operating, DecodeError> {
        let asked = self.asked.clone().map(Operation::read);
        let asked = asked.and_then(Result::ok).ok_or(DecodeError::Field("operation"))?;
        let planned = (!self.plan.is_empty()).then(|| Planned::read(self.plan.clone(), &asked));
        let planned = planned.transpose().map_err(|_| DecodeError::Field("plan"))?;
        let grant = self.grant.as_ref().ok_or(DecodeError::Field("operation's grant"))?;
        Ok(Operating {
            planned: planned.map(Arc::new),
            grant: grant.access()?,
            stop: self.stop.clone(),
            cut: self.cut,
            refused: self.refused.clone(),
            asked: Arc::new(asked),
        })
    }
}
