//! Own open requests on disk, each with its outcome key (0600), until the request ends.
//!
//! A record is written before its request leaves, so that no answer can come that could not be read.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tunnel_certs::{
    file::FileError,
    key::{PublicKey, SealingKeyError},
    statement::{
        inventory::Entry,
        request::{Kind, Request},
    },
    words::Words,
};
use tunnel_protos::{
    ClusterName, Digest, EnvelopeId, Label, MethodName, RequestId, TargetName, UnixMillis,
    v1::{Deadlines, RequestState},
};

use super::reader::Newest;

mod asked;
mod form;
mod store;

pub use self::{
    asked::{Asked, duration},
    store::Folder,
};

/// Why an open request could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such request here.
    #[error("no open request {0} on this machine: see `tunnelctl requests`")]
    Unknown(RequestId),
    /// No request here has such an id.
    #[error("no request on this machine has an id that begins with {0}: see `tunnelctl requests --all`")]
    Nameless(String),
    /// More than one has.
    #[error(
        "{1} requests on this machine have ids that begin with {0}: give more characters (`tunnelctl requests --all`)"
    )]
    Ambiguous(String, usize),
    /// A file could not be read or written.
    #[error("cannot keep request {0}")]
    File(RequestId, #[source] FileError),
    /// The outcome key could not be kept or read.
    #[error("cannot keep the outcome key of request {0}")]
    Key(RequestId, #[source] SealingKeyError),
    /// A file is not what was written.
    #[error("{} is damaged; delete the request's files and ask again", .0.display())]
    Damaged(PathBuf),
    /// The folder could not be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a request asks, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Methods.
    Access,
    /// An operation.
    Operation,
    /// A certificate under a grant.
    Certificate,
    /// The end of another request.
    Withdraw,
}

/// One own open request.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id; of a grant it may become, too.
    pub id: RequestId,
    /// What it asks.
    pub what: What,
    /// Whom.
    pub cluster: ClusterName,
    /// The cluster's label.
    pub label: Label,
    /// The key that signs the answers, from the verified entry.
    pub cluster_key: PublicKey,
    /// Digest of its envelope.
    pub digest: Digest,
    /// What the broker knows it by.
    pub envelope_id: EnvelopeId,
    /// When it was made.
    pub issued: UnixMillis,
    /// When the request itself expires.
    pub expires: UnixMillis,
    /// Methods as asked.
    pub methods: Vec<String>,
    /// Targets as asked.
    pub targets: Vec<String>,
    /// Whether methods of operations were asked for.
    pub raw: bool,
    /// How long the work may take, as asked.
    pub wanted: Duration,
    /// The reason as given.
    pub reason: String,
    /// What operation was asked for.
    pub operation: Option<Asked>,
    /// What the cluster answered last.
    pub answer: Option<Answer>,
}

/// The newest outcome accepted, as far as it is needed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Guards against going back.
    pub newest: Newest,
    /// Where the request stands.
    pub state: RequestState,
    /// When this state ends by itself.
    pub until: UnixMillis,
    /// Concrete methods granted.
    pub granted: Vec<String>,
    /// No certificate was denied since.
    pub live: bool,
    /// When the cluster said so.
    pub at: UnixMillis,
    /// Its sentence.
    pub reason: String,
    /// Its rule.
    pub rule: String,
    /// The four deadlines.
    pub deadlines: Deadlines,
}

impl Record {
    /// What is kept of `request` to the cluster of `to`.
    pub fn new(request: &Request, to: &Entry, digest: Digest, envelope_id: EnvelopeId) -> Self {
        let (what, methods, targets) = match &request.kind {
            Kind::Access(access) => (What::Access, texts(&access.methods), texts(&access.targets)),
            Kind::Operation(_) => (What::Operation, Vec::new(), Vec::new()),
            Kind::Certificate(_) => (What::Certificate, Vec::new(), Vec::new()),
            Kind::Withdraw(_) => (What::Withdraw, Vec::new(), Vec::new()),
        };
        let (raw, wanted, operation) = match &request.kind {
            Kind::Access(access) => (access.raw, access.wanted, None),
            Kind::Operation(operation) => (false, operation.wanted, Some(Asked::of(operation))),
            _ => (false, Duration::ZERO, None),
        };
        Self {
            id: request.id,
            what,
            cluster: to.cluster.clone(),
            label: to.label,
            cluster_key: to.cluster_key.clone(),
            digest,
            envelope_id,
            issued: request.issued,
            expires: request.expires,
            methods,
            targets,
            raw,
            wanted,
            reason: request.reason.text.to_string(),
            operation,
            answer: None,
        }
    }

    /// Whether it was granted and its time is not over.
    pub fn is_granted(&self, now: UnixMillis) -> bool {
        self.answer.as_ref().is_some_and(Answer::grants) && self.ends() > now
    }

    /// Whether the cluster has granted it, whatever became of the grant since.
    pub fn is_answered_yes(&self) -> bool {
        self.answer.as_ref().is_some_and(Answer::grants)
    }

    /// Whether certificates under it are to be expected.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        self.is_granted(now) && self.answer.as_ref().is_some_and(|answer| answer.live)
    }

    /// Whether `method` on `target` was granted.
    pub fn allows(&self, method: &MethodName, target: &TargetName) -> bool {
        let granted = self.answer.iter().flat_map(|answer| &answer.granted);
        self.targets.iter().any(|asked| asked == target.as_str())
            && granted.into_iter().any(|granted| granted == method.as_str())
    }

    /// The words that stand for it, on both sides.
    pub fn words(&self) -> Words {
        Words::of(&self.digest)
    }

    /// Where it stands: by the cluster's last word, or over by its own time.
    pub fn state(&self, now: UnixMillis) -> Option<RequestState> {
        let said = self.answer.as_ref().map(|answer| answer.state);
        let over = self.ends() <= now;
        match said {
            Some(RequestState::Active) if over => Some(RequestState::Ended),
            Some(RequestState::Pending | RequestState::Approved) | None if over => {
                Some(RequestState::Expired)
            }
            said => said,
        }
    }

    /// When nothing can come of it any more.
    pub fn ends(&self) -> UnixMillis {
        match &self.answer {
            // What runs ends by its own word, whatever becomes of the time to look at it.
            Some(answer) if answer.state == RequestState::Running => answer.at.plus(LONGEST_RUN),
            Some(answer) if answer.until.0 > 0 => answer.until,
            _ => self.expires,
        }
    }
}

impl Answer {
    fn grants(&self) -> bool {
        match self.state {
            RequestState::Approved
            | RequestState::Active
            | RequestState::Running
            | RequestState::Succeeded
            | RequestState::Failed
            | RequestState::RolledBack
            | RequestState::Cancelled
            | RequestState::Indeterminate => true,
            RequestState::Unspecified
            | RequestState::Pending
            | RequestState::Denied
            | RequestState::Expired
            | RequestState::Withdrawn
            | RequestState::Ended
            | RequestState::Revoked
            | RequestState::Done => false,
        }
    }
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// Longer than any operation that still says where it stands.
const LONGEST_RUN: Duration = Duration::from_secs(24 * 3600);
