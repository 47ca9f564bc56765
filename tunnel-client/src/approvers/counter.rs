//! What the socket's methods do: find what a short id means, check texts, prove who asks, hand it to the desk.

mod loosen;

use std::sync::Arc;

use rustix::process::getuid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tunnel_protos::{
    Digest, GrantId, OperatorName, PersonText, RequestId, approvers as api, v1::RequestState,
};
use tunnel_runtime::drain::Watch;

use super::{
    Desk, Peer, Who,
    challenges::Challenges,
    desk::Known,
    proof::{self, Host},
    status,
};

/// One for all connections.
pub(super) struct Counter<D> {
    pub(super) desk: D,
    host: Host,
    challenges: Challenges,
    drain: Watch,
    watchers: Arc<Semaphore>,
}

impl<D: Desk> Counter<D> {
    pub(super) fn new(desk: D, drain: Watch) -> Self {
        let host = Host { own: getuid().as_raw(), overflow: overflow() };
        Self {
            desk,
            host,
            challenges: Challenges::default(),
            drain,
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        }
    }

    /// Resolves when the client is about to end.
    pub(super) fn drained(&self) -> impl Future<Output = ()> + Send + 'static {
        let drain = self.drain.clone();
        async move { drain.draining().await }
    }

    /// A place among those who watch: they stay, and must leave room for who wants to cut.
    pub(super) fn watcher(&self) -> Result<OwnedSemaphorePermit, Status> {
        let full = |_| Status::resource_exhausted("too many watch already; end one of them");
        Arc::clone(&self.watchers).try_acquire_owned().map_err(full)
    }

    /// The one request whose id begins with `prefix`; of several, the only one that is `meant`.
    ///
    /// Operators choose ids: what they put beside a grant must not keep anybody from cutting it.
    pub(super) fn find(
        &self,
        prefix: &str,
        meant: impl Fn(&Known) -> bool,
    ) -> Result<api::RequestView, Status> {
        if prefix.len() < SHORTEST_PREFIX {
            return Err(Status::invalid_argument("give at least 4 characters of the id"));
        }
        let (meant, others): (Vec<_>, Vec<_>) = self.desk.known(prefix).into_iter().partition(meant);
        let matching = if meant.is_empty() { others } else { meant };
        let found = match &matching[..] {
            [] => None,
            [one] => self.desk.view(&one.id),
            all => return Err(several(all)),
        };
        let none = "no request with this id; `tunnel-client requests --all` lists them";
        found.ok_or_else(|| Status::not_found(none))
    }

    pub(super) async fn revoke(
        &self,
        peer: Peer,
        asked: api::RevokeRequest,
    ) -> Result<api::RevokeReply, Status> {
        let note = note(&asked.note)?;
        let id = self.find(&asked.id, is_live)?.id;
        let grant = id.parse::<GrantId>().map_err(|_| Status::not_found("this request can hold no grant"))?;
        let revoked = self.desk.revoke(grant, note, self.anyone(peer)).await;
        let sessions_cut = revoked.map_err(|error| status::of(&error))?.sessions_cut;
        Ok(api::RevokeReply { id, sessions_cut })
    }

    pub(super) async fn pause(
        &self,
        peer: Peer,
        asked: &api::PauseRequest,
    ) -> Result<api::PauseView, Status> {
        Ok(self.desk.pause(note(&asked.note)?, self.anyone(peer)).await)
    }

    pub(super) async fn deny_operator(
        &self,
        peer: Peer,
        asked: &api::DenyOperatorRequest,
    ) -> Result<api::DenyOperatorReply, Status> {
        let (operator, note) = (operator(&asked.operator)?, note(&asked.note)?);
        let denied = self.desk.deny_operator(operator, note, self.anyone(peer)).await;
        let denied = denied.map_err(|error| status::of(&error))?;
        Ok(api::DenyOperatorReply {
            requests_denied: denied.requests_denied,
            grants_revoked: denied.grants_revoked,
            sessions_cut: denied.sessions_cut,
        })
    }

    /// Who tightens, whoever it is.
    pub(super) fn anyone(&self, peer: Peer) -> Who {
        proof::anyone(peer, self.host, &self.desk.approvers())
    }
}

/// Names them in full, because lists shorten them.
fn several(known: &[Known]) -> Status {
    let ids: Vec<_> = known.iter().take(MOST_NAMED).map(|known| known.id.as_str()).collect();
    Status::invalid_argument(format!("several ids begin so; give more characters: {}", ids.join(", ")))
}

pub(super) fn is_pending(known: &Known) -> bool {
    known.state == RequestState::Pending
}

fn is_live(known: &Known) -> bool {
    matches!(known.state, RequestState::Approved | RequestState::Active | RequestState::Running)
}

pub(super) fn is_operation(known: &Known) -> bool {
    known.operation
}

/// The request of a view that is answered.
pub(super) fn request_id(view: &api::RequestView) -> Result<RequestId, Status> {
    view.id.parse().map_err(|_| Status::not_found("this request cannot be answered"))
}

/// The digest that was shown, which must be this request's.
fn shown(view: &api::RequestView, digest: &[u8]) -> Result<Digest, Status> {
    let digest = Digest::try_from(digest).map_err(|_| {
        Status::invalid_argument(
            "say which request was shown: `digest` is the 32 bytes of its envelope's digest",
        )
    })?;
    if digest.as_bytes()[..] == view.digest[..] {
        Ok(digest)
    } else {
        Err(Status::failed_precondition(
            "this is not the request that was shown; look again with `tunnel-client show`",
        ))
    }
}

/// The plan that was shown; none if nobody was shown one.
fn shown_plan(digest: &[u8]) -> Result<Option<Digest>, Status> {
    if digest.is_empty() {
        return Ok(None);
    }
    let malformed = |_| {
        Status::invalid_argument("`plan_digest` is the 32 bytes of the digest of the plan that was shown")
    };
    Digest::try_from(digest).map(Some).map_err(malformed)
}

pub(super) fn note(text: &str) -> Result<PersonText, Status> {
    text.parse().map_err(|error| Status::invalid_argument(format!("the note is {error}")))
}

fn operator(text: &str) -> Result<OperatorName, Status> {
    text.parse()
        .map_err(|_| Status::invalid_argument("not an operator's name; `tunnel-client operators` lists them"))
}

/// What the kernel shows for users that have no number here.
fn overflow() -> u32 {
    let told = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    told.and_then(|text| text.trim().parse().ok()).unwrap_or(proof::OVERFLOW)
}

/// Short enough to type, long enough that one matches by chance only among thousands.
const SHORTEST_PREFIX: usize = 4;
/// As many as a person looks through.
const MOST_NAMED: usize = 16;
/// Half of the requests that one user may have at a time: whoever watches can still cut.
const WATCHERS: usize = 8;

#[cfg(test)]
mod tests;
