//! The decision on a new call, with everything that a session has at hand for it.

use std::sync::Arc;

use h2::RecvStream;
use http::{HeaderMap, Request, request::Parts};
use tunnel_protos::{UnixMillis, dynamic::Descriptors};

use super::Session;
use crate::{
    audit::{self, Millis},
    gate::{
        call::{self, CallHead, Facts, Verdict, Way},
        ledger::Ledger,
        methods::{Begun, Granted},
        metrics::Class,
        reflection::{Reflect, Reflection},
        relay::Relay,
        status::Refusal,
    },
    requests::Pause,
};

/// A call that may go on.
pub(super) enum Call {
    /// To the engine.
    Forward(Relay),
    /// Answered here.
    Reflect(Reflect),
}

impl Session {
    /// Everything that is decided before a call goes on.
    pub(super) fn admit_call(&self, request: Request<RecvStream>) -> Result<Call, Refusal> {
        let now = self.clock.now();
        let (head, body) = request.into_parts();
        let paused = self.paused.borrow();
        let verdict = call::decide(&call_head(&head), &self.facts(now, paused.as_ref()));
        let verdict = verdict.map_err(|refusal| self.instead(refusal))?;
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let begun = verdict.method.begin(verdict.metered, now)?;
        match verdict.way {
            Way::Forward => self.forward(&verdict, begun, now, head, body).map(Call::Forward),
            Way::Reflect => self.reflect(&verdict, begun, now, body).map(Call::Reflect),
        }
    }

    /// What is not granted may have another way: the operation that the profile maps it to.
    fn instead(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::NotGranted(method) => match self.upstream.operation_of(&method) {
                Some((operation, name)) => Refusal::OfOperation { method, operation, name },
                None => Refusal::NotGranted(method),
            },
            refusal => refusal,
        }
    }

    fn forward(
        &self,
        verdict: &Verdict<'_>,
        begun: Begun,
        now: UnixMillis,
        head: Parts,
        body: RecvStream,
    ) -> Result<Relay, Refusal> {
        let uri = self.upstream.uri(head.uri.path_and_query()).ok_or(Refusal::EngineDown)?;
        Ok(Relay {
            upstream: self.upstream.clone(),
            metadata: self.metadata.clone(),
            uri,
            timeout: verdict.timeout,
            headers: head.headers,
            body,
            ledger: self.ledger(verdict.method, begun, now),
            cut: verdict.method.cut().clone(),
        })
    }

    fn reflect(
        &self,
        verdict: &Verdict<'_>,
        begun: Begun,
        now: UnixMillis,
        body: RecvStream,
    ) -> Result<Reflect, Refusal> {
        Ok(Reflect {
            reflection: self.reflection()?,
            body,
            timeout: verdict.timeout,
            ledger: self.ledger(verdict.method, begun, now),
            cut: verdict.method.cut().clone(),
        })
    }

    fn ledger(&self, method: &Granted, begun: Begun, now: UnixMillis) -> Ledger {
        let counted = self.listed.begin(method.place(), now);
        let class = if method.mutates() { Class::Mutate } else { Class::Read };
        let (target, name) = (self.upstream.target().clone(), method.name().clone());
        let called = audit::Call { grant: self.caller.grant, target, method: name };
        let (audit, metrics) = (self.audit.clone(), self.metrics.clone());
        Ledger::new(audit, metrics, called, Millis(now), class, begun, counted)
    }

    /// Made when first asked for, and anew after the policy changed.
    fn reflection(&self) -> Result<Arc<Reflection>, Refusal> {
        if let Some(made) = self.reflection.get() {
            return Ok(made.clone());
        }
        let descriptors: &Descriptors = self.descriptors.as_ref().ok_or(Refusal::NoDescriptors)?;
        let made = || Arc::new(Reflection::new(descriptors.prune(self.methods.allowed())));
        Ok(self.reflection.get_or_init(made).clone())
    }

    fn facts<'f>(&'f self, now: UnixMillis, paused: Option<&'f Pause>) -> Facts<'f> {
        Facts {
            now,
            paused,
            certificate_end: self.admitted.certificate.not_after,
            life: self.admitted.grant.life(),
            methods: &self.methods,
            longest: self.longest,
        }
    }
}

fn call_head(head: &Parts) -> CallHead<'_> {
    let header = |name: &str| sole(&head.headers, name);
    CallHead {
        method: head.method.as_str(),
        path: head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str),
        content_type: header("content-type"),
        te: header("te"),
        timeout: header("grpc-timeout"),
    }
}

/// A repeated header counts as an empty one, which no rule takes: the engine might look at another than the gate did.
fn sole<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(values.next().map_or(first.as_bytes(), |_| b""))
}
