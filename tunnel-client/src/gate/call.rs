//! The decision on one call: pure, and free of any HTTP library's types.
//!
//! Order: shape, pause, grant and certificate, method, today's policy. Limits and audit follow; then the call is forwarded.

use std::{sync::Arc, time::Duration};

use tunnel_protos::{MethodName, UnixMillis};
use tunnel_runtime::grpc;

use super::{
    deadline,
    grants::{Life, Over},
    methods::{Granted, Metered, Methods},
    status::{Refusal, Shape},
};
use crate::requests::Pause;

/// What the gate looks at of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallHead<'h> {
    /// `:method`.
    pub(super) method: &'h str,
    /// `:path`, query included.
    pub(super) path: &'h str,
    /// `content-type`.
    pub(super) content_type: Option<&'h [u8]>,
    /// `te`.
    pub(super) te: Option<&'h [u8]>,
    /// `grpc-timeout`.
    pub(super) timeout: Option<&'h [u8]>,
}

/// What is known of a session at the moment of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'f> {
    /// The time.
    pub(super) now: UnixMillis,
    /// The pause in force.
    pub(super) paused: Option<&'f Pause>,
    /// Last moment of the session's certificate.
    pub(super) certificate_end: UnixMillis,
    /// The grant's life.
    pub(super) life: Life,
    /// What was granted, under today's policy.
    pub(super) methods: &'f Methods,
    /// The longest that the gate lets a call take; none leaves it to the grant's end.
    pub(super) longest: Option<Duration>,
}

/// A call that may pass.
#[derive(Debug)]
pub(super) struct Verdict<'f> {
    /// Who answers it.
    pub(super) way: Way,
    /// What is called.
    pub(super) method: &'f Granted,
    /// Within which limits.
    pub(super) metered: &'f Arc<Metered>,
    /// How long it may take.
    pub(super) timeout: Duration,
}

/// Who answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The engine.
    Forward,
    /// The gate itself, from the customer's descriptors.
    Reflect,
}

/// Decides on a call.
pub(super) fn decide<'f>(head: &CallHead<'_>, facts: &Facts<'f>) -> Result<Verdict<'f>, Refusal> {
    let granted = facts.methods.get(head.path);
    let asked = shape(head, granted.is_some()).map_err(Refusal::Shape)?;
    if let Some(pause) = facts.paused {
        // Who could call nothing anyway learns that it is paused, not why.
        let note = if standing(facts).is_ok() { pause.told().to_owned() } else { String::new() };
        return Err(Refusal::Paused { since: pause.since, note });
    }
    let left = standing(facts)?;
    // Before what is granted: the engine's own reflection would tell more than the grant holds.
    let (way, method) = match facts.methods.reflection(head.path) {
        Some(own) => (Way::Reflect, own),
        None => (Way::Forward, granted.ok_or_else(|| not_granted(head.path))?),
    };
    let metered = method.authorize()?;
    Ok(Verdict { way, method, metered, timeout: deadline::effective(asked, facts.longest, left) })
}

/// Whether it is a gRPC call at all; gives the time it asks for.
fn shape(head: &CallHead<'_>, path_is_known: bool) -> Result<Option<Duration>, Shape> {
    if head.method != "POST" {
        return Err(Shape::Method);
    }
    // A path that is in the table has been parsed before.
    if !path_is_known && MethodName::from_path(head.path).is_err() {
        return Err(Shape::Path);
    }
    if !head.content_type.is_some_and(is_grpc) {
        return Err(Shape::ContentType);
    }
    if head.te != Some(b"trailers") {
        return Err(Shape::Te);
    }
    head.timeout.map(grpc::timeout::parse).transpose().map_err(|_| Shape::Timeout)
}

/// Whether grant and certificate still hold; gives what is left of the grant.
fn standing(facts: &Facts<'_>) -> Result<Duration, Refusal> {
    let until = match facts.life {
        Life::Active { until } if facts.now < until => until,
        Life::Active { .. } => return Err(Refusal::GrantOver(Over::Ended)),
        Life::Over(over) => return Err(Refusal::GrantOver(over)),
        Life::Waiting => return Err(Refusal::GrantWaiting),
    };
    if facts.now > facts.certificate_end {
        return Err(Refusal::CertificateExpired);
    }
    Ok(until.since(facts.now))
}

/// `application/grpc`, `application/grpc+proto`, `application/grpc;…`; not `application/grpc-web`.
pub(super) fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn not_granted(path: &str) -> Refusal {
    MethodName::from_path(path).map_or(Refusal::Shape(Shape::Path), Refusal::NotGranted)
}

#[cfg(test)]
mod tests;
