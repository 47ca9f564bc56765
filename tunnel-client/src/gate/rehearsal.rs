//! A session's decisions without a session: what a bench times, and nothing that could let a call through.

use std::time::Duration;

use tunnel_protos::UnixMillis;

use super::{
    call::{self, CallHead, Facts},
    grants::GrantRef,
    methods::Methods,
    status::Refusal,
};
use crate::policy::Policy;

/// Decides on calls as a session of one grant does.
#[derive(Debug)]
pub struct Rehearsal {
    grant: GrantRef,
    methods: Methods,
}

impl Rehearsal {
    /// A session of `grant` under `policy`.
    pub fn new(grant: GrantRef, policy: &Policy) -> Self {
        let methods = Methods::new(&grant, policy, |_| true);
        Self { grant, methods }
    }

    /// All that is decided on a call of `path` before its audit record: shape, grant, method, policy, limits.
    pub fn call(&self, path: &str, now: UnixMillis) -> Result<(), Refusal> {
        let verdict = call::decide(&head(path), &self.facts(now))?;
        verdict.method.begin(verdict.metered, now).map(drop)
    }

    fn facts(&self, now: UnixMillis) -> Facts<'_> {
        Facts {
            now,
            paused: None,
            certificate_end: now.plus(CERTIFICATE),
            life: self.grant.life(),
            methods: &self.methods,
            longest: None,
        }
    }
}

fn head(path: &str) -> CallHead<'_> {
    CallHead {
        method: "POST",
        path,
        content_type: Some(b"application/grpc"),
        te: Some(b"trailers"),
        timeout: Some(b"10S"),
    }
}

const CERTIFICATE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{grants::Level, testing};

    #[test]
    fn a_rehearsed_call_meets_the_same_answers() {
        let grant = testing::grant(&[("engine.admin.v1.Admin/Get", Level::Auto)]);
        let rehearsal = Rehearsal::new(grant, &testing::policy(testing::ALLOW_ALL));
        let now = UnixMillis(1_000_000);
        assert!(rehearsal.call("/engine.admin.v1.Admin/Get", now).is_ok());
        let other = rehearsal.call("/engine.admin.v1.Admin/Set", now);
        assert!(matches!(other, Err(Refusal::NotGranted(_))));
    }
}
