//! The steps in their order. Demo and power-cut tests walk the same list, so that none can be forgotten.

use std::{future::Future, pin::Pin};

use anyhow::Result;

use super::{
    stage::Stage,
    steps::{broker, calls, customer, operations, operator, vendor},
};

/// One step.
#[derive(Debug)]
pub struct Step {
    /// What it is called in the tests' messages.
    pub name: &'static str,
    act: for<'s> fn(&'s mut Stage) -> Acting<'s>,
}

type Acting<'s> = Pin<Box<dyn Future<Output = Result<()>> + 's>>;

impl Step {
    /// Plays it; the stage is left working.
    pub async fn play(&self, stage: &mut Stage) -> Result<()> {
        (self.act)(stage).await
    }
}

macro_rules! steps {
    (enrolled by $keys:path; $($rest:tt)*) => {
        steps! {
            "the vendor's keys": $keys,
            "the vendor's broker": vendor::start_broker,
            "invitation": vendor::invite,
            "the approver's key": customer::name_approver,
            "the customer's start": customer::start,
            "registration": vendor::confirm,
            "enrollment": customer::confirm,
            "log in": operator::log_in,
            $($rest)*
        }
    };
    ($($name:literal: $act:path,)*) => {
        &[$(Step { name: $name, act: |stage| Box::pin($act(stage)) },)*]
    };
}

/// Access, from nothing to a receipt.
pub const SCRIPT: &[Step] = steps! {
    enrolled by vendor::keys;
    "refused": operator::refused,
    "request": operator::request,
    "approval": operator::approved,
    "call": calls::call,
    "out of scope": calls::out_of_scope,
    "audit": customer::audit,
    "revoke": calls::revoke,
    "receipt": customer::receipt,
    "the broker's view": broker::view,
};

/// Operations, from nothing to a receipt.
pub const OPERATIONS_SCRIPT: &[Step] = steps! {
    enrolled by vendor::release_keys;
    "by hand": operations::by_hand,
    "scale": operations::scale,
    "upgrade": operations::upgrade,
    "broken upgrade": operations::broken_upgrade,
    "compaction": operations::compact,
    "bundle": operations::bundle,
    "audit": operations::audit,
    "receipts": operations::receipts,
    "the broker's view": broker::view,
};
