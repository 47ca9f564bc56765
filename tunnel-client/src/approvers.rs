//! The customer's own API on a Unix socket: look, tighten, and as an approver loosen.
//!
//! Whoever can open the socket may look and tighten; what loosens takes an [`Approver`], proven by a user id of the
//! policy or by a signed approval. Every text that came from elsewhere is escaped before it leaves, so that no
//! terminal is fooled by it.

mod bundles;
mod challenges;
mod counter;
mod desk;
mod errors;
mod hygiene;
mod membership;
mod proof;
mod service;
mod socket;
mod status;
mod who;

pub use self::{
    bundles::{BundlesDesk, FileParts},
    desk::{Desk, Known, MOST_REQUESTS, OperatorDenied, Revoked},
    errors::{
        AnswerError, BundleError, CancelError, ClockError, ConfirmError, MembershipError, OperatorError,
        ResumeError, RevokeError, RotateKeysError, StoreFault,
    },
    membership::{EnrollmentDesk, MembershipDesk, Offices},
    proof::may_be_approver,
    socket::{SocketError, bind},
    who::{Approver, Peer, Proof, Signed, Who},
};

use std::{sync::Arc, time::Duration};

use tokio::net::UnixListener;
use tonic::service::Routes;
use tunnel_protos::approvers::{
    approvers_server::ApproversServer, bundles_server::BundlesServer, membership_server::MembershipServer,
};
use tunnel_runtime::{
    drain::Watch,
    grpc::{GrpcLimits, GrpcServer},
};

/// Serves the customer's API on `listener` (see [`bind`]) until drained.
pub async fn serve<D: Desk>(listener: UnixListener, desk: D, offices: Offices, drain: Watch) {
    let counter = Arc::new(counter::Counter::new(desk, drain.clone()));
    let bundles = bundles::Service::new(Arc::clone(&counter), Arc::clone(&offices.bundles));
    let membership = membership::Service::new(Arc::clone(&counter), offices);
    let routes = Routes::new(ApproversServer::new(service::Service::new(counter)))
        .add_service(MembershipServer::new(membership))
        .add_service(BundlesServer::new(bundles));
    GrpcServer::new(routes, LIMITS).serve_unix(listener, drain).await;
}

/// A handful of people and scripts use this socket; more is a mistake or an attack from the same host.
const LIMITS: GrpcLimits = GrpcLimits { connections: 64, requests: 64, deadline: Duration::from_secs(10) };

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
