//! Mutating calls: each attempt has a key of its own, so that the engine tells afterwards which of them reached it.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use anyhow::{Result, ensure};
use parking_lot::Mutex;
use tonic::{Request, transport::Channel};
use tunnel_protos::GrantId;

use crate::{
    generated::kv::v1::{DeleteRequest, ListRequest, PutRequest, kv_client::KvClient},
    harness::operator::Pass,
};

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    /// Granted by the policy; makes its key.
    Put,
    /// Granted by a person; takes away its key, which was put there behind the gate's back.
    Delete,
}

/// Calls by grant and method.
pub(super) type Counts = BTreeMap<(GrantId, Method), usize>;

/// Every attempt that was made.
#[derive(Default)]
pub(super) struct Calls(Mutex<Vec<Attempt>>);

#[derive(Clone)]
struct Attempt {
    grant: GrantId,
    method: Method,
    outcome: Outcome,
}

/// What the operator knows of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing, or an error: it may have happened.
    Unknown,
    /// It was answered.
    Answered,
    /// The grant was over before.
    Forbidden,
}

/// The engine without a tunnel, as its owner reaches it.
#[derive(Debug, Clone)]
pub(super) struct Engine(pub(super) Channel);

impl Calls {
    /// Attempts to call `method` once; it is noted whatever becomes of it.
    pub(super) async fn attempt(&self, engine: &Engine, pass: &Pass, method: Method) -> Result<()> {
        let number = self.begin(pass.grant, method, Outcome::Unknown);
        if method == Method::Delete {
            put(engine.0.clone(), &key(number)).await?;
        }
        method.call(pass.channel()?, &key(number)).await?;
        self.0.lock()[number].outcome = Outcome::Answered;
        Ok(())
    }

    /// Attempts to call under a grant that is over.
    pub(super) async fn attempt_too_late(&self, pass: &Pass) -> Result<()> {
        let number = self.begin(pass.grant, Method::Put, Outcome::Forbidden);
        ensure!(put(pass.channel()?, &key(number)).await.is_err(), "a call passed under a revoked grant");
        Ok(())
    }

    fn begin(&self, grant: GrantId, method: Method, outcome: Outcome) -> usize {
        let mut attempts = self.0.lock();
        attempts.push(Attempt { grant, method, outcome });
        attempts.len() - 1
    }

    /// Those that were answered.
    pub(super) fn answered(&self) -> Counts {
        count(self.0.lock().iter().filter(|attempt| attempt.outcome == Outcome::Answered))
    }

    /// Those that reached the engine, as it now tells; fails if an answered one did not, or a forbidden one did.
    pub(super) async fn reached(&self, engine: &Engine) -> Result<Counts> {
        let keys = engine.keys().await?;
        let attempts = self.0.lock().clone();
        let mut reached = Vec::new();
        for (number, attempt) in attempts.iter().enumerate() {
            let there = keys.contains(&key(number)) == (attempt.method == Method::Put);
            match attempt.outcome {
                Outcome::Answered => ensure!(there, "the answered call {number} is not in the engine"),
                Outcome::Forbidden => ensure!(!there, "the forbidden call {number} is in the engine"),
                Outcome::Unknown => {}
            }
            reached.extend(there.then_some(attempt));
        }
        Ok(count(reached.into_iter()))
    }
}

impl Method {
    /// As policies and the log write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Put => "engine.kv.v1.KV/Put",
            Self::Delete => "engine.kv.v1.KV/Delete",
        }
    }

    async fn call(self, channel: Channel, key: &str) -> Result<()> {
        match self {
            Self::Put => put(channel, key).await,
            Self::Delete => delete(channel, key).await,
        }
    }
}

impl Engine {
    async fn keys(&self) -> Result<HashSet<String>> {
        let all = ListRequest { prefix: String::new() };
        let mut listed = KvClient::new(self.0.clone()).list(all).await?.into_inner();
        let mut keys = HashSet::new();
        while let Some(record) = listed.message().await? {
            keys.insert(record.key);
        }
        Ok(keys)
    }
}

fn count<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Counts {
    attempts.fold(Counts::new(), |mut counts, attempt| {
        *counts.entry((attempt.grant, attempt.method)).or_default() += 1;
        counts
    })
}

fn key(number: usize) -> String {
    format!("attempt-{number}")
}

async fn put(channel: Channel, key: &str) -> Result<()> {
    let mut request =
        Request::new(PutRequest { key: key.to_owned(), value: key.to_owned().into(), ttl_millis: 0 });
    request.set_timeout(CALL);
    KvClient::new(channel).put(request).await?;
    Ok(())
}

async fn delete(channel: Channel, key: &str) -> Result<()> {
    let mut request = Request::new(DeleteRequest { key: key.to_owned() });
    request.set_timeout(CALL);
    KvClient::new(channel).delete(request).await?;
    Ok(())
}

/// A call that a power cut left hanging is made again.
const CALL: Duration = Duration::from_secs(3);
