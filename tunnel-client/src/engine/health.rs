//! Health of each target: asked one at a time, at a bounded rate, within a deadline; probes get the last answer.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::{sync::watch, time::sleep};
use tonic::Code;
use tracing::debug;
use tunnel_protos::{MethodName, TargetName, dynamic::Undecoded, v1::Health};

use super::{
    CallError, Engine,
    profile::{HealthOk, HealthProbe, Scope},
};

/// What is known of one target.
#[derive(Debug, Default)]
pub(super) struct Target {
    last: watch::Sender<Health>,
}

impl Target {
    pub(super) fn last(&self) -> Health {
        *self.last.borrow()
    }
}

/// Asks every target in turn, forever.
pub(super) async fn watch(engine: &Engine) {
    let each = engine.0.targets.iter().map(|(name, target)| async move {
        loop {
            let (health, complaint) = probe(engine, name).await;
            if let Some(error) = complaint {
                debug!(target.name = %name, error = %tunnel_runtime::chain(&error), "Engine is not well");
            }
            target.last.send_replace(health);
            sleep(INTERVAL).await;
        }
    });
    join_all(each.collect::<Vec<_>>()).await;
}

/// Asks a target once: what it is, and why not better.
pub(super) async fn probe(engine: &Engine, target: &TargetName) -> (Health, Option<CallError>) {
    let (method, request, ok) = match engine.profile().health() {
        HealthProbe::Standard => (STANDARD.parse().ok(), Bytes::new(), None),
        HealthProbe::Method(call) => {
            (Some(call.method.clone()), call.request.clone(), Some(call.ok.as_ref()))
        }
    };
    let Some(method): Option<MethodName> = method else { return (Health::Unspecified, None) };
    let answer = engine.call_raw(target, &method, request, DEADLINE).await;
    match (&answer, ok) {
        (Ok(bytes), Some(Some(ok))) => match is_ok(engine, bytes, ok).await {
            Ok(true) => (Health::Serving, None),
            Ok(false) => (Health::NotServing, None),
            Err(error) => (Health::NotServing, Some(error)),
        },
        _ => (judge(&answer, ok.is_none()), answer.err()),
    }
}

/// Whether an answer is what the profile wants of it; one that cannot be judged is not.
async fn is_ok(engine: &Engine, bytes: &Bytes, ok: &HealthOk) -> Result<bool, CallError> {
    let (bytes, ok) = (bytes.clone(), ok.clone());
    let judge = move || {
        let message = Undecoded::new(ok.answer.clone(), bytes).decode().map_err(CallError::Answer)?;
        let scope = Scope::default().message("response", &message).map_err(CallError::Large)?;
        scope.evaluate(|stage| ok.expression.bool(stage)).map_err(CallError::Judged)
    };
    engine.aside(judge, DEADLINE).await.map_err(CallError::Judged)?
}

/// An answer is well if its status is OK and, for the standard method, it says SERVING.
fn judge(answer: &Result<Bytes, CallError>, standard: bool) -> Health {
    match answer {
        Ok(bytes) if !standard || bytes[..] == SERVING => Health::Serving,
        Ok(_) => Health::NotServing,
        // Codes that a transport makes up when nobody answers.
        Err(CallError::Status(status)) if status.code() != Code::Unavailable => Health::NotServing,
        Err(_) => Health::Unreachable,
    }
}

const STANDARD: &str = "grpc.health.v1.Health/Check";

/// `HealthCheckResponse { status: SERVING }`.
const SERVING: [u8; 2] = [0x08, 0x01];

/// Often enough that a probe's answer is fresh, rarely enough that no engine notices.
const INTERVAL: Duration = Duration::from_secs(5);

/// An engine that takes longer is not well.
const DEADLINE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn only_serving_is_serving_by_the_standard_method() {
        let answer = |bytes: &'static [u8]| judge(&Ok(Bytes::from_static(bytes)), true);
        assert_eq!(answer(&[8, 1]), Health::Serving);
        assert_eq!(answer(&[8, 2]), Health::NotServing);
        assert_eq!(answer(&[]), Health::NotServing);
    }

    #[test]
    fn any_ok_is_serving_by_a_named_method() {
        assert_eq!(judge(&Ok(Bytes::from_static(b"whatever")), false), Health::Serving);
    }

    #[test]
    fn an_engine_that_answers_badly_is_not_the_same_as_none() {
        let status = |code| judge(&Err(CallError::Status(Status::new(code, ""))), true);
        assert_eq!(status(Code::Internal), Health::NotServing);
        assert_eq!(status(Code::Unimplemented), Health::NotServing);
        assert_eq!(status(Code::Unavailable), Health::Unreachable);
        assert_eq!(judge(&Err(CallError::Deadline(DEADLINE)), true), Health::Unreachable);
    }
}
