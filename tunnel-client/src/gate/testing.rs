//! What the tests of the gate share: grants and policies by one line each.

pub(super) mod engine;
pub(super) mod frames;
pub(super) mod operator;

use std::{sync::Arc, time::Duration};

use tunnel_protos::{Door, RequestId, TargetName, UnixMillis};

use super::grants::{self, Grant, GrantRef, Level, Life};
use crate::{
    policy::{Methods, Policy},
    requests::Pause,
};

/// Longer than anything a test waits for takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Lets every method of the test engine pass.
pub(super) const ALLOW_ALL: &str =
    "{ version: 1, access: [ { methods: ['engine.admin.v1.Admin/*'], approval: auto } ] }";
/// The same, and open calls end with their certificate.
pub(super) const UNTIL_CERTIFICATE: &str = "{ version: 1, streams: untilCertificateExpires, \
     access: [ { methods: ['engine.admin.v1.Admin/*'], approval: auto } ] }";
/// Wants a person's yes for every method.
pub(super) const MANUAL_ALL: &str =
    "{ version: 1, access: [ { methods: ['engine.admin.v1.Admin/*'], approval: manual } ] }";
/// One call at a time.
pub(super) const ONE_STREAM: &str = "{ version: 1, access: [ { methods: ['engine.admin.v1.Admin/*'], approval: auto, limits: { streams: 1 } } ] }";
/// Ten bytes from the engine.
pub(super) const TEN_BYTES: &str = "{ version: 1, access: [ { methods: ['engine.admin.v1.Admin/*'], approval: auto, limits: { bytes: 10B } } ] }";

/// So many bytes from the engine.
pub(super) fn bytes(most: u32) -> Policy {
    policy(&TEN_BYTES.replace("10B", &format!("{most}B")))
}

/// A policy over an engine without descriptors.
pub(super) fn policy(text: &str) -> Policy {
    Policy::load(text, Arc::new(Methods::without_descriptors([].into(), [0; 32]))).unwrap()
}

/// A grant of these methods behind one door, active for a long time.
pub(super) fn grant(methods: &[(&str, Level)]) -> GrantRef {
    let (writer, view) = grants::channel();
    let door = Door::from_random([3; 17]);
    writer.put(content(methods, door), Life::Active { until: UnixMillis(i64::MAX) });
    view.door(&door).unwrap()
}

/// A pause since then.
pub(super) fn pause(since: UnixMillis) -> Pause {
    let id = tunnel_protos::PauseId::random();
    Pause { id, since, who: "alice".to_owned(), note: "incident".to_owned(), stored: true }
}

/// What [`grant`] grants.
pub(super) fn content(methods: &[(&str, Level)], door: Door) -> Grant {
    Grant {
        id: RequestId::random().into(),
        operator: "ana".parse().unwrap(),
        methods: methods.iter().map(|(name, level)| (name.parse().unwrap(), *level)).collect(),
        doors: [(TargetName::default_target(), door)].into(),
        raw: false,
        operation: None,
    }
}
