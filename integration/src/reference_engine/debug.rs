//! What the engine tells for debugging, secrets included: it stands for engines whose debug output must be filtered
//! before it leaves the customer.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::Parts;
use crate::generated::admin::v1::{Account, Connections, GetDebugInfoResponse};

/// What happened since the start.
#[derive(Debug)]
pub(super) struct Counters {
    started: Instant,
    accepted: AtomicU64,
    calls: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { started: Instant::now(), accepted: AtomicU64::new(0), calls: AtomicU64::new(0) }
    }
}

impl Counters {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn connections(&self) -> Connections {
        Connections {
            accepted: self.accepted.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
        }
    }

    fn uptime_millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Every field an operator could ask for, made-up secrets in clear.
pub(super) fn info(parts: &Parts) -> GetDebugInfoResponse {
    GetDebugInfoResponse {
        release: parts.cluster.release(),
        uptime_millis: parts.counters.uptime_millis(),
        shards: parts.store.debug(),
        connections: Some(parts.counters.connections()),
        admin_password: ADMIN_PASSWORD.to_owned(),
        replication_token: REPLICATION_TOKEN.to_owned(),
        environment: environment(),
        accounts: vec![Account {
            name: "root".to_owned(),
            password_hash: PASSWORD_HASH.to_owned(),
            last_login_unix_millis: 0,
        }],
        encryption_key: Bytes::from_static(ENCRYPTION_KEY.as_bytes()),
    }
}

fn environment() -> BTreeMap<String, String> {
    [("CLOUD_SECRET_KEY", CLOUD_SECRET_KEY), ("TZ", "UTC")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The secrets in `GetDebugInfo`; tests look for these very words where they must not be.
pub const MADE_UP_SECRETS: [&str; 5] =
    [ADMIN_PASSWORD, REPLICATION_TOKEN, PASSWORD_HASH, CLOUD_SECRET_KEY, ENCRYPTION_KEY];

pub(super) const ADMIN_PASSWORD: &str = "made-up-admin-password";
const REPLICATION_TOKEN: &str = "made-up-replication-token";
const PASSWORD_HASH: &str = "made-up-password-hash";
const CLOUD_SECRET_KEY: &str = "made-up-cloud-secret-key";
const ENCRYPTION_KEY: &str = "made-up-encryption-key";
