//! The client's API for the operator of one operation, and how people and scripts are shown what it says.

mod json;
mod plan;

pub use self::{
    json::{bundle as bundle_json, operation as operation_json, plan as plan_json},
    plan::{Paint, text as plan_text},
};
/// The messages and the service.
pub use crate::generated::operations_v1 as v1;
use crate::text::spoken;

/// A step's state as people read it: `rolling-back`.
pub fn step_state(state: v1::StepState) -> String {
    spoken(state.as_str_name(), "STEP_STATE_")
}

/// A plan's risk as people read it: `medium`.
pub fn risk(risk: v1::RiskClass) -> String {
    spoken(risk.as_str_name(), "RISK_CLASS_")
}

/// A state of a request as people read it: `rolled-back`.
pub fn request_state(state: crate::v1::RequestState) -> String {
    spoken(state.as_str_name(), "REQUEST_STATE_")
}
