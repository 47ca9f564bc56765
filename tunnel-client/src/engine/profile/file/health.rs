//! `health`: which method tells whether a target is well, and what it must say.

use prost::Message as _;
use serde::Deserialize;
use serde_json::Value;
use tunnel_protos::MethodName;

use super::operable::{Answers, Reader};
use crate::engine::profile::{
    HealthCall, HealthOk, HealthProbe, Vars,
    expression::{Names, Shape},
    template::Samples,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WrittenHealth {
    method: String,
    request: Option<Value>,
    ok: Option<String>,
}

impl Reader<'_> {
    pub(super) fn health(&mut self, written: Option<&WrittenHealth>) -> Option<HealthProbe> {
        let Some(written) = written else { return Some(HealthProbe::Standard) };
        let method: MethodName = self.parsed("health.method", &written.method)?;
        let plain = written.request.is_none() && written.ok.is_none();
        match (plain, method.as_str() == STANDARD) {
            (true, true) => Some(HealthProbe::Standard),
            (true, false) => {
                let call = HealthCall { method, request: Vec::new().into(), ok: None };
                Some(HealthProbe::Method(Box::new(call)))
            }
            (false, true) => {
                self.problems.none("health", "`request` and `ok` are for other methods than this")
            }
            (false, false) => self.asked(method, written).map(|call| HealthProbe::Method(Box::new(call))),
        }
    }

    fn asked(&mut self, name: MethodName, written: &WrittenHealth) -> Option<HealthCall> {
        let method = self.method("health", &written.method, Answers::One)?;
        let request = self.template("health.request", &method, written.request.as_ref(), &Samples::new());
        let names = Names::default().with("response", Shape::Message(method.output()));
        let ok = self.optional("health.ok", written.ok.as_deref(), &names);
        let request = request?.render(&Vars::default()).ok()?.message.encode_to_vec();
        let ok = ok?.map(|expression| HealthOk { answer: method.output(), expression });
        Some(HealthCall { method: name, request: request.into(), ok })
    }
}

/// The method that [`HealthProbe::Standard`] calls.
const STANDARD: &str = "grpc.health.v1.Health/Check";
